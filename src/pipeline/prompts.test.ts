import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GenerateInput } from "../contract/request.ts";
import { requestFromSettings } from "../contract/request-from-settings.ts";
import { floats } from "../core/array.ts";
import { decodePhoto, readPngSettings } from "../image/index.ts";
import { embeddingFile } from "../testing/embedding-file.ts";
import { goldenPath } from "../testing/golden.ts";
import { cli } from "../testing/run-cli.ts";
import { TINY_V1 } from "../testing/tiny-model.ts";
import { weighPerson } from "./encode/encode.ts";
import { PhotoMaker } from "./photomaker.ts";

const code = (wanted: string) => expect.objectContaining({ code: wanted });
const photo = (name: string): string => goldenPath("photos", `${name}.png`);
const base: GenerateInput = {
  prompt: "a photo of a woman img, smile",
  inputIdImages: [photo("person_0")],
  width: 64,
  height: 64,
  numInferenceSteps: 4,
  startMergeStep: 0,
  seed: 1,
};
const LONG = Array(40).fill("waves, clouds").join(", ");

let pm: PhotoMaker;
let plain: PhotoMaker;
let folder: string;
beforeAll(async () => {
  pm = await PhotoMaker.load(TINY_V1);
  plain = await PhotoMaker.load({ model: TINY_V1.model });
  folder = await mkdtemp(join(tmpdir(), "prompts-"));
});
afterAll(async () => {
  await Promise.all([pm.close(), plain.close()]);
  await rm(folder, { recursive: true });
});
const draw = async (prompt: string, more: Partial<GenerateInput> = {}) => pm.generate({ ...base, prompt, ...more });
const final = async (prompt: string, more: Partial<GenerateInput> = {}) => (await draw(prompt, more)).latents.final;
const notices = async (prompt: string, more: Partial<GenerateInput> = {}) =>
  (await draw(prompt, { numInferenceSteps: 1, startMergeStep: -1, ...more })).notices.map((notice) => notice.code);

describe("the person", () => {
  test("brackets that weigh nothing change nothing, and the class word is found behind them", async () => {
    const wanted = await final("a photo of a woman img");
    for (const same of ["a photo of a woman (img:1)", "a photo of a (woman img:1.0)", "(a photo of:1) a woman img"])
      expect(await final(same)).toEqual(wanted);
    expect(await final("woman, img")).toEqual(await final("woman img,"));
  });
  test("its weight acts after the fusion: none is the class word, more is more", async () => {
    const without = await final("a photo of a woman img", { startMergeStep: 100 });
    expect(await final("a photo of a woman (img:0)")).toEqual(without);
    const off = (a: Float32Array, b: Float32Array) => a.reduce((sum, v, i) => sum + Math.abs(v - b[i]!), 0);
    const [half, whole, more] = await Promise.all([0.5, 1, 1.5].map((w) => final(`a photo of a woman (img:${w})`)));
    expect(off(half!, without)).toBeLessThan(off(whole!, without));
    expect(off(more!, without)).toBeGreaterThan(off(whole!, without));
  });
  test("weights of words lead away from the empty text, those of the person from the class word", () => {
    const rows = (...values: number[]) => floats(Float32Array.from(values), values.length / 2, 2);
    const ids = {
      first: [0, 0, 0],
      second: [0, 0, 0],
      weights: { first: [1, 2, 3], second: [1, 2, 0.5], empty: { first: [], second: [] } },
    };
    const weighed = weighPerson(rows(1, 1, 5, 6, 7, 8), rows(1, 1, 5, 6, 4, 4), rows(9, 9, 1, 2, 9, 9), {
      ids,
      places: [2],
      width: 1,
    });
    expect([...weighed.data]).toEqual([1, 1, 9, 10, 13, 6]);
  });
  test.each([
    ["a photo of a [woman:man:0.5] img", "prompt/person-scheduled"],
    ["by the sea BREAK a woman img", "prompt/trigger-cut"],
    ["a woman <img>", "prompt/trigger-missing"],
  ])("%s is refused: %s", async (prompt, wanted) => {
    await expect(draw(prompt)).rejects.toThrow(code(wanted));
  });
});

describe("long texts", () => {
  test("are heard to their end, also beside the person, and in the negative text", async () => {
    const long = `a photo of a woman img, ${LONG}`;
    const wanted = await final(long);
    expect(await final(`${long}, a lighthouse`)).not.toEqual(wanted);
    expect(await notices(long)).toEqual([]);
    const negative = await final("a woman img", { negativePrompt: LONG });
    expect(await final("a woman img", { negativePrompt: `${LONG}, birds` })).not.toEqual(negative);
  });
  test.each([
    { deepCache: 2 },
    { tGate: 3 },
    { tokenDownsampling: 2 },
    { guidanceEnd: 0.5 },
    { guidanceScale: 1 },
    { clipSkip: 1 },
  ])("go with %o", async (more) => {
    const long = `a photo of a woman img, ${LONG}`;
    const made = await final(long, more);
    expect(made.every(Number.isFinite)).toBe(true);
    expect(await final(`${long} birds`, more)).not.toEqual(made);
  });
  test("requests with texts of several lengths are drawn side by side as alone", async () => {
    const prompts = ["a woman img", `a woman img, ${LONG}`, `a woman img BREAK sea`];
    for (const more of [{}, { deepCache: 2 }, { tGate: 3 }]) {
      const requests = prompts.map((prompt, i) => ({ ...base, ...more, prompt, seed: i, numImagesPerPrompt: 1 + (i % 2) }));
      const together = await pm.generateTogether(requests);
      for (const [i, request] of requests.entries())
        expect(together[i]!.latents.final).toMatchGolden((await pm.generate(request)).latents.final, 1e-3);
    }
  });
  test("more of it is more work", () => {
    const work = (chunks?: number) => pm.evaluationWork({ width: 64, height: 64, rows: 1, ...(chunks && { chunks }) });
    expect(work(1)).toEqual(work());
    expect(work(3)).not.toEqual(work(2));
  });
  test("with the syntax off texts are words that are cut, as in the official code", async () => {
    const off = { promptSyntax: "none" } as const;
    expect(await final("a (photo:1.4) of a woman img", off)).not.toEqual(await final("a (photo:1.4) of a woman img"));
    expect(await final(base.prompt, off)).toEqual(await final(base.prompt));
    expect(await notices(`a woman img ${LONG}`, off)).toContain("prompt/cut");
  });
});

describe("schedules", () => {
  test("a text changes at its step, and what is told again is encoded once", async () => {
    const [cat, dog] = [await final("a woman img, a cat"), await final("a woman img, a dog")];
    expect(await final("a woman img, a [cat:dog:1.0]")).toEqual(cat);
    expect(await final("a woman img, a [cat:dog:0]")).toEqual(dog);
    const half = await final("a woman img, a [cat:dog:2]");
    expect(half).not.toEqual(cat);
    expect(half).not.toEqual(dog);
    expect(await final("a woman img, a [cat:dog:0.5]")).toEqual(half);
    expect(await final("a woman img, a [cat|dog]", { numInferenceSteps: 1 })).toEqual(
      await final("a woman img, a cat", { numInferenceSteps: 1 }),
    );
    expect(await final("a woman img, a [cat|dog]")).not.toEqual(half);
  });
  test("two evaluations of one step are told the same", async () => {
    const heun = { scheduler: "heun" } as const;
    expect(await final("a woman img, a [cat:dog:4]", heun)).toEqual(await final("a woman img, a cat", heun));
    expect(await final("a woman img, a [cat:dog:3]", heun)).not.toEqual(await final("a woman img, a cat", heun));
  });
  test("negative texts have them too, and DeepCache asks its deep layers again", async () => {
    const more = { negativePrompt: "[ugly:old:2]" };
    expect(await final("a woman img", more)).not.toEqual(await final("a woman img", { negativePrompt: "ugly" }));
    expect(await final("a woman img, a [cat|dog]", { deepCache: 4 })).toEqual(await final("a woman img, a [cat|dog]"));
  });
  test("T-GATE must begin after the last change", async () => {
    await expect(draw("a woman img, a [cat:dog:3]", { tGate: 3 })).rejects.toThrow(code("t-gate/before-schedule"));
    await expect(draw("a woman img, a [cat:dog:2]", { tGate: 3 })).resolves.toBeDefined();
  });
  test("with DeepCache, requests side by side change their texts at the same steps", async () => {
    const requests = ["a woman img, a [cat:dog:2]", "a woman img, a cat"].map((prompt) => ({ ...base, prompt, deepCache: 2 }));
    await expect(pm.generateTogether(requests)).rejects.toThrow(code("requests/differ"));
  });
});

describe("wildcards", () => {
  test("the picture says both the template and what it became, and is made again without the folder", async () => {
    const lists = join(folder, "lists");
    await mkdir(lists);
    await writeFile(join(lists, "animal.txt"), "cat\ndog\nbird\n");
    const more = { wildcards: lists, negativePrompt: "{ugly|old}" };
    const { images, latents } = await draw("a woman img with a __animal__", more);
    const { parameters, settings } = readPngSettings(images[0]!.png) as { parameters: string; settings: Record<string, unknown> };
    expect(settings).toMatchObject({ prompt: "a woman img with a __animal__", negativePrompt: "{ugly|old}", wildcards: "lists" });
    const { prompt } = settings.chosen as { prompt: string };
    expect(prompt).toMatch(/^a woman img with a (cat|dog|bird)$/);
    expect(parameters).toContain(`${prompt}\nNegative prompt: `);
    expect(parameters).toContain("Template: a woman img with a __animal__");
    await rm(lists, { recursive: true });
    const { request } = requestFromSettings(settings);
    expect(request).toMatchObject({ prompt });
    const again = await pm.generate({ ...request, inputIdImages: base.inputIdImages! });
    expect(again.latents.final).toEqual(latents.final);
    await expect(draw("a woman img with a __animal__")).rejects.toThrow(code("wildcards/not-given"));
  });
});

test("a picture of before there was a syntax is made again without one", () => {
  expect(requestFromSettings({ prompt: "a (cat)" }).request).toMatchObject({ promptSyntax: "none" });
  expect(requestFromSettings({ prompt: "a (cat)", promptSyntax: "a1111" }).request).toMatchObject({ promptSyntax: "a1111" });
});

const tools = { load: PhotoMaker.load };
const generate = (...args: string[]) =>
  cli(["generate", "--width", "64", "--height", "64", "--seed", "1", "-m", TINY_V1.model, "--json", ...args], tools as never);
const pixels = async (path: string) => (await decodePhoto(path)).data;

describe("the command line", () => {
  test("a trigger word that is weighted stands for the word before it", async () => {
    const person = ["-a", TINY_V1.adapter, "-i", photo("person_0"), "-s", "4"];
    const { code: exit, out } = await generate(...person, "-p", "photo of a woman (img:1.2), smile", "-o", join(folder, "a.png"));
    expect(exit).toBe(0);
    expect(JSON.parse(out).images[0].settings.prompt).toBe("photo of a woman (img:1.2), smile");
    const { latents } = await draw("photo of a woman (img:1.2), smile", { startMergeStep: undefined });
    expect(latents.final).not.toEqual(await final("photo of a woman img, smile", { startMergeStep: undefined }));
  });
  test("a prompt of another program: weights work, and what is not there is named", async () => {
    const prompt = "(masterpiece:1.3), ((cat)), [dog], BREAK, <lora:detail:0.8>, embedding:negativeXL_D";
    const { code: exit, out } = await generate("-s", "2", "-p", prompt, "-o", join(folder, "b.png"));
    expect(exit).toBe(0);
    const said = JSON.parse(out).notices.map((notice: { code: string }) => notice.code);
    expect(said).toEqual(expect.arrayContaining(["prompt/embedding-unknown", "prompt/lora-not-loaded"]));
    expect(said).not.toContain("prompt/as-words");
  });
  test("an embedding is used, and as a LoRA it is refused with the way to give it", async () => {
    const file = join(folder, "negativeXL.safetensors");
    await writeFile(file, embeddingFile({ clip_l: [2, 16], clip_g: [2, 24] }));
    const refused = await generate("--lora", file, "-s", "2", "-p", "a cat", "-o", join(folder, "c.png"));
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.out).error).toMatchObject({
      code: "lora/wrong-kind",
      remedy: expect.stringContaining(`--embeddings ${file}`),
    });
    const drawn = async (name: string, ...args: string[]) => {
      const path = join(folder, name);
      expect((await generate("-s", "2", "-p", "a cat", "-o", path, ...args)).code).toBe(0);
      return pixels(path);
    };
    const bare = await drawn("d.png");
    expect(await drawn("e.png", "--embeddings", file)).toEqual(bare);
    const [used, weighted] = [
      await drawn("f.png", "--embeddings", folder, "-n", "embedding:negativeXL"),
      await drawn("g.png", "--embeddings", file, "-n", "(embedding:NegativeXL.safetensors:1.3)"),
    ];
    expect(used).not.toEqual(bare);
    expect(weighted).not.toEqual(used);
    expect(await drawn("h.png", "--embeddings", file, "-n", "embedding:negativeXL", "--precision", "int8")).not.toEqual(bare);
  });
  test("a LoRA that a prompt names is taken from its folder", async () => {
    const named = async (tag: string, ...args: string[]) => {
      const { out } = await generate("-s", "1", "-p", `a cat ${tag}`, "-o", join(folder, "l.png"), ...args);
      const { images, notices: said } = JSON.parse(out);
      return [
        images[0].settings.load.loras,
        said.map((notice: { code: string }) => notice.code).filter((c: string) => c.includes("prompt")),
      ];
    };
    const loras = ["--lora-folder", goldenPath("lora")];
    expect(await named("<lora:PEFT:0.7>", ...loras)).toEqual([[{ path: "peft.safetensors", scale: 0.7 }], []]);
    expect(await named("<lora:nobody:0.7>", ...loras)).toEqual([[], ["prompt/lora-not-loaded"]]);
    expect(await named("<lora:peft:0.7>", ...loras, "--lora", `${goldenPath("lora", "peft.safetensors")}:0.5`)).toEqual([
      [{ path: "peft.safetensors", scale: 0.5 }],
      ["prompt/lora-strength"],
    ]);
    expect(await named("<hypernet:x:1>", ...loras)).toEqual([[], ["prompt/tag-unknown"]]);
    const { out } = await generate("-p", "a <lora:x:1>", "--lora-folder", join(folder, "no"), "-o", join(folder, "m.png"));
    expect(JSON.parse(out).error.code).toBe("lora/folder");
  });
});
