import fc from "fast-check";
import { expect, test } from "vitest";
import { type FloatArray, floats } from "../core/array.ts";
import { parseGenerateRequest } from "./request.ts";
import { requestJson } from "./request-json.ts";

const prompt = "a man img";
const overTheWire = (request: Parameters<typeof requestJson>[0]) =>
  parseGenerateRequest(JSON.parse(JSON.stringify(requestJson(request))));

test("a request survives JSON, with its bytes and numbers", () => {
  const request = parseGenerateRequest({
    prompt,
    inputIdImages: ["a.png", Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 255)],
    negativePrompt: "",
    idEmbeds: floats(Float32Array.of(0.1, -1e30, Math.PI, -0), 2, 2),
    latents: floats(new Float32Array(8).fill(1 / 3), 1, 2, 2, 2),
    seed: 3,
    originalSize: [512, 768],
    width: 64,
  });
  expect(overTheWire(request)).toEqual(request);
  expect(JSON.stringify(requestJson(request))).toContain("data:image/png;base64,iVBORwD/");
  const one = parseGenerateRequest({ prompt, people: [{ idTokens: floats(Float32Array.of(1, 2), 1, 2) }] });
  expect(overTheWire(one)).toEqual(one);
});

test("any float32 and any bytes come back as they were", () => {
  fc.assert(
    fc.property(fc.float32Array({ minLength: 1, noNaN: true }), fc.uint8Array({ minLength: 1 }), (data, photo) => {
      const idTokens = floats(Float32Array.from(data), 1, data.length);
      const back = overTheWire({ prompt, idTokens, inputIdImages: [photo] });
      expect(back.idTokens).toEqual(idTokens);
      expect(back.inputIdImages[0]).toEqual(Uint8Array.from(photo));
    }),
  );
});

test("numbers may be a list; a FloatArray is passed through without a copy", () => {
  expect(parseGenerateRequest({ prompt, idTokens: { dims: [1, 2], data: [0.5, 2] } }).idTokens).toEqual(
    floats(Float32Array.of(0.5, 2), 1, 2),
  );
  const own = floats(new Float32Array(2), 1, 2);
  expect(parseGenerateRequest({ prompt, idTokens: own }).idTokens).toBe(own);
  const bare = { dims: [1, 2], data: own.data } as unknown as FloatArray;
  expect(parseGenerateRequest({ prompt, idTokens: bare }).idTokens).toEqual(own);
});

test.each([
  [{ idTokens: { data: new Float32Array(2) } }, "id-tokens/wrong-type", /dims must be a list/],
  [{ idTokens: { dims: [3, 5], data: new Float32Array(2) } }, "id-tokens/wrong-type", /<2>.*2 values do not fill dims \[3, 5\]/],
  [{ idTokens: { dims: [2], data: { 0: 1, 1: 2 } } }, "id-tokens/wrong-type", /requestJson/],
  [{ idTokens: { dims: [1], data: "AAA=" } }, "id-tokens/wrong-type", /base64 of float32/],
  [{ idTokens: { dims: [1], data: [Number.NaN] } }, "id-tokens/wrong-type", /not numbers/],
  [{ idTokens: "tokens.safetensors" }, "id-tokens/wrong-type", /idTokens is/],
  [{ latents: { dims: [2, -1], data: [1] } }, "latents/wrong-type", /dims must be/],
  [{ idEmbeds: "" }, "id-embeds/empty", /idEmbeds is empty/],
  [{ inputIdImages: ["data:image/png;base64,@"] }, "id-images/wrong-type", /must hold base64/],
  [{ inputIdImages: ["data:image/png,abc"] }, "id-images/wrong-type", /must hold base64/],
  [{ inputIdImages: ["data:,"] }, "id-images/wrong-type", /must hold base64/],
  [{ inputIdImages: [{ 0: 137 }] }, "id-images/wrong-type", /inputIdImages.0 is/],
])("%j is refused: %s", (more, code, message) => {
  expect(() => parseGenerateRequest({ prompt, ...more })).toThrow(
    expect.objectContaining({ name: "UserError", code, message: expect.stringMatching(message) }),
  );
});
