import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GenerateInput } from "../../contract/request.ts";
import { floats } from "../../core/array.ts";
import { readPngSettings } from "../../image/index.ts";
import { ortRuntime } from "../../runtime/node/ort-runtime.ts";
import { unetGraph } from "../../sessions/graphs.ts";
import { goldenPath } from "../../testing/golden.ts";
import { MAN_WITH_HAT, TINY_V1 } from "../../testing/tiny-model.ts";
import { openModel } from "../../weights/open-model.node.ts";
import { PhotoMaker } from "../photomaker.ts";
import type { Conditioning } from "./denoiser.ts";
import { checkTGate, TGate } from "./t-gate.ts";

const runtime = ortRuntime();
let pm: PhotoMaker;
beforeAll(async () => {
  pm = await PhotoMaker.load(TINY_V1);
});
afterAll(async () => {
  await pm.close();
  await runtime.close();
});

const ramp = (from: number, ...dims: number[]) =>
  floats(
    Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 7 + from)),
    ...dims,
  );

test("what cross-attention said in the same place gives the same answer to the bit, and the mean of two texts is taken", async () => {
  const graph = unetGraph(await openModel(goldenPath("tiny-sdxl")), new Map());
  const { contextDim, pooledDim } = graph.settings;
  const whole = await runtime.load(graph.unfinished.outputs);
  const { outputs, layers } = graph.forms(1).gated();
  const gated = { session: await runtime.load(outputs), layers };
  expect(layers).toHaveLength(28); // 2·2 + 2·3 down, 3 in the middle, 3·3 + 3·2 up
  const rows = (count: number, from: number) => ({
    latents: ramp(1, count, 4, 9, 12),
    timestep: floats(Float32Array.of(300), 1),
    context: ramp(from, count, 77, contextDim),
    pooled: floats(new Float32Array(count * pooledDim), count, pooledDim),
    timeIds: floats(new Float32Array(count * 6), count, 6),
  });
  const conditioning = { guidanceScale: 5, timeIds: [[1], [2], [3], [4]] } as unknown as Conditioning;
  const [one, other] = [rows(2, 1), rows(2, 2)];
  const [first, second] = [(await whole.run(one)).noise, (await whole.run(other)).noise];
  expect(first.data).not.toEqual(second.data);

  const alone = new TGate(gated, 2, 2);
  expect(alone.begin(0, conditioning)).toBe(conditioning);
  expect((await alone.run(other)).noise.data).toEqual(second.data);
  alone.begin(1, conditioning);
  expect((await alone.run(one)).noise.data).toEqual(first.data);
  expect(alone.begin(2, conditioning)).toMatchObject({ guidanceScale: 1, timeIds: [[3], [4]] });
  expect((await alone.run(other)).noise.data).toEqual(first.data); // the text is not looked at

  const guided = new TGate(gated, 1, 2);
  guided.begin(0, conditioning);
  await guided.run(one);
  await guided.run(one); // the other rows of the same evaluation
  guided.begin(1, conditioning);
  expect((await guided.run(other)).noise.data).toEqual(first.data);
  guided.begin(0, conditioning);
  await guided.run(one);
  await guided.run(other);
  guided.begin(1, conditioning);
  const mean = (await guided.run(one)).noise.data;
  for (const said of [first, second]) expect(mean).not.toEqual(said.data);
});

const base: GenerateInput = { ...MAN_WITH_HAT, startMergeStep: 0 };

test("pictures: the same for one request, several at once, and said in the picture", async () => {
  const gated = await pm.generate({ ...base, tGate: 4, numImagesPerPrompt: 2 });
  const again = await pm.generate({ ...base, tGate: 4, numImagesPerPrompt: 2 });
  expect(again.latents.final).toEqual(gated.latents.final);
  const { parameters, settings } = readPngSettings(gated.images[0]!.png);
  expect(parameters).toContain("T-GATE: 4");
  expect(settings).toMatchObject({ tGate: 4 });
  const plain = await pm.generate({ ...base, numImagesPerPrompt: 2 });
  expect(plain.latents.initialNoise).toEqual(gated.latents.initialNoise);
  expect(plain.latents.final).not.toEqual(gated.latents.final);
});

describe("what makes no sense is refused", () => {
  const unet = { depth: [0, 1], midDepth: 1, upDepth: [0, 1] } as never;
  const request = { inputIdImages: ["a.png"], startMergeStep: 4, numInferenceSteps: 10 };
  test.each<[string, object, number, string]>([
    ["with DeepCache", { tGate: 8, deepCache: 2 }, 10, "t-gate/with-deep-cache"],
    ["after the last evaluation", { tGate: 10 }, 10, "t-gate/never"],
    ["before the text with the person was seen", { tGate: 5 }, 10, "t-gate/before-person"],
  ])("%s", (_, more, evaluations, code) => {
    expect(() => checkTGate({ ...request, ...more }, unet, evaluations)).toThrow(expect.objectContaining({ code }));
  });
  test.each([
    ["ID tokens", { idTokens: floats(new Float32Array(4), 1, 4) }],
    ["face embeddings", { idEmbeds: "faces.safetensors" }],
    ["people", { people: [{ photos: ["a.png"], weight: 1 }] }],
  ])("before the text with the person was seen, who is given by %s", (_, person) => {
    const asked = { startMergeStep: 4, numInferenceSteps: 10, tGate: 5, ...person };
    expect(() => checkTGate(asked, unet, 10)).toThrow(expect.objectContaining({ code: "t-gate/before-person" }));
    expect(() => checkTGate({ ...asked, tGate: 6 }, unet, 10)).not.toThrow();
  });
  test("a UNet without cross-attention", () => {
    const bare = { depth: [0, 0], midDepth: 0, upDepth: [0, 0] } as never;
    expect(() => checkTGate({ ...request, tGate: 8 }, bare, 10)).toThrow(
      expect.objectContaining({ code: "t-gate/no-cross-attention" }),
    );
  });
  test("and nothing else", () => {
    expect(() => checkTGate({ ...request, tGate: 6 }, unet, 10)).not.toThrow();
    expect(() => checkTGate({ ...request, inputIdImages: [], tGate: 1 }, unet, 10)).not.toThrow();
    expect(() => checkTGate(request, unet, 1)).not.toThrow();
  });
});
