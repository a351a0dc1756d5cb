import { expect, test } from "vitest";
import { parseGenerateRequest, parseLoadOptions } from "./request.ts";
import { requestFromSettings } from "./request-from-settings.ts";

const load = {
  model: "org/name@0123456789012345678901234567890123456789",
  adapter: "photomaker-v1.bin",
  loras: [{ path: "style.safetensors", scale: 0.5 }],
  triggerWord: "img",
  unloadAfterUse: true,
  encodingCacheBytes: 5,
};

test("request and models come back, and what is missing is named", () => {
  const settings = {
    prompt: "<numbers [1]> a man img",
    inputIdImages: ["a.jpg", "<123 bytes>"],
    latents: "<numbers [1, 4, 8, 8]>",
    seed: 3,
    index: 2,
    load,
  };
  const { request, load: models, index, missing } = requestFromSettings(JSON.parse(JSON.stringify(settings)));
  expect(index).toBe(2);
  expect(request).toEqual({ prompt: "<numbers [1]> a man img", inputIdImages: ["a.jpg"], seed: 3, promptSyntax: "none" });
  const { unloadAfterUse: _, encodingCacheBytes: __, ...kept } = load;
  expect(models).toEqual(kept);
  expect(missing).toEqual([
    { section: "request", key: "inputIdImages", what: "file", name: "a.jpg" },
    { section: "request", key: "inputIdImages", what: "bytes", name: "<123 bytes>" },
    { section: "request", key: "latents", what: "numbers", name: "<numbers [1, 4, 8, 8]>" },
    { section: "load", key: "adapter", what: "file", name: "photomaker-v1.bin" },
    { section: "load", key: "loras", what: "file", name: "style.safetensors" },
  ]);
  parseGenerateRequest(request);
  parseLoadOptions(models);
});

test("ID tokens and people", () => {
  const of = (person: object) => requestFromSettings({ prompt: "a man img", ...person, load: { model: "org/name" } });
  expect(of({ inputIdImages: [], idTokens: "<numbers [2, 64]>" })).toMatchObject({
    request: { prompt: "a man img", inputIdImages: [] },
    missing: [{ key: "idTokens", what: "numbers", name: "<numbers [2, 64]>" }],
  });
  const { request, missing } = of({
    people: [{ photos: ["a.jpg", "<9 bytes>"], trigger: "x", weight: 1, idTokens: "<numbers [2, 64]>" }],
  });
  expect(request.people).toEqual([{ photos: ["a.jpg"], trigger: "x", weight: 1 }]);
  expect(missing.map(({ name }) => name)).toEqual(["a.jpg", "<9 bytes>", "<numbers [2, 64]>"]);
});

test.each([[undefined], ["a"], [null], [[1]]])("%j is not a picture's settings", (settings) => {
  expect(() => requestFromSettings(settings)).toThrow(expect.objectContaining({ code: "settings/none" }));
});
