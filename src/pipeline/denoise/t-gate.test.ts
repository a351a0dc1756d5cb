import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GenerateInput } from "../../contract/request.ts";
import { floats } from "../../core/array.ts";
import { input } from "../../graph/ops/source.ts";
import { readPngSettings } from "../../image/index.ts";
import { gatedLayers, givenTo, saidBy } from "../../models/t-gate.ts";
import { ortRuntime } from "../../runtime/node/ort-runtime.ts";
import { unetGraph } from "../../sessions/graphs.ts";
import { LoadedUNet, partsOf } from "../../sessions/unet-form.ts";
import { goldenPath } from "../../testing/golden.ts";
import { MAN_WITH_HAT, TINY_V1 } from "../../testing/tiny-model.ts";
import { openModel } from "../../weights/open-model.node.ts";
import { PhotoMaker } from "../photomaker.ts";
import type { SettledRequest } from "../settle.ts";
import { evaluate } from "./denoiser.ts";
import { checkExtensions, extensionsOf } from "./extensions.ts";
import { type Evaluation, type Guidance, meanByPicture, type Told } from "./guidance.ts";
import { checkTGate, TGate, tGate } from "./t-gate.ts";

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
  const { contextDim, pooledDim } = graph.config;
  const whole = await runtime.load(graph.unfinished.outputs);
  const parts = partsOf(graph.unfinished.outputs, [tGate({ tGate: 1 } as SettledRequest)!]);
  expect(gatedLayers(parts[0]!.outputs)).toHaveLength(28); // 2·2 + 2·3 down, 3 in the middle, 3·3 + 3·2 up
  const gated = new LoadedUNet([{ part: parts[0]!, session: await runtime.load(parts[0]!.outputs) }]);
  const sample = ramp(1, 2, 4, 9, 12);
  /** Two pictures, each told `from`. */
  const told = (...from: number[]): Told[] =>
    from.flatMap((one) => {
      const context = ramp(one, 2, 77, contextDim);
      return [0, 1].map((picture) => ({
        ...{ picture, timeIds: [0, 0, 0, 0, 0, 0], pooled: floats(new Float32Array(pooledDim), pooledDim) },
        context: floats(context.data.slice(picture * 77 * contextDim, (picture + 1) * 77 * contextDim), 77, contextDim),
      }));
    });
  /** Guidance that is told as the index of the evaluation says; what the first of two texts said is taken for both. */
  const guided = (...texts: (readonly number[])[]): Guidance => {
    const rows = ({ index }: Evaluation) => told(...texts[index]!);
    const half = (answers: Float32Array) => answers.slice(0, sample.data.length);
    return {
      ...{ rows, combine: half, mean: (values, at) => meanByPicture(values, rows(at)) },
      unguided: { rows: () => told(2), combine: (answers: Float32Array) => answers } as unknown as Guidance,
    };
  };
  const evaluator = (gate: number, guidance: Guidance) => {
    const extensions = [new TGate(parts, gate)];
    const options = { unet: gated, guidance, extensions, dims: [2, 4, 9, 12] as const, device: "cpu" as const };
    return (index: number) => evaluate(options, { sample: sample.data, timestep: 300, index });
  };
  const feeds = (from: number) => ({
    latents: sample,
    timestep: floats(Float32Array.of(300), 1),
    context: ramp(from, 2, 77, contextDim),
    pooled: floats(new Float32Array(2 * pooledDim), 2, pooledDim),
    timeIds: floats(new Float32Array(2 * 6), 2, 6),
  });
  const [first, second] = [(await whole.run(feeds(1))).noise.data, (await whole.run(feeds(2))).noise.data];
  expect(first).not.toEqual(second);

  const alone = evaluator(2, guided([2], [1]));
  expect(await alone(0)).toEqual(second);
  expect(await alone(1)).toEqual(first);
  expect(await alone(2)).toEqual(first); // the text is not looked at

  const same = evaluator(1, guided([1, 1]));
  await same(0);
  expect(await same(1)).toEqual(first);
  const two = evaluator(1, guided([1, 2]));
  expect(await two(0)).toEqual(first);
  const mean = await two(1);
  for (const said of [first, second]) expect(mean).not.toEqual(said);
  expect(await two(2)).toEqual(mean);

  // a run that begins at the gate or behind it looks at the text once
  const late = evaluator(1, guided([], [], [1, 2], [2], [2]));
  expect(await late(2)).toEqual(first);
  expect(await late(3)).toEqual(mean);
  expect(await late(4)).toEqual(mean);
  const atGate = evaluator(1, guided([], [2], [1]));
  expect(await atGate(1)).toEqual(second);
  expect(await atGate(2)).toEqual(second);
});

test("a run from the middle keeps what was said to all rows of its first evaluation, however many are computed at once", () => {
  const gate = new TGate([{ outputs: { [saidBy("mid.attn2")]: input("said", [1, 1, 2]) } }], 2);
  const rows = [0, 1].map((picture) => ({ picture }) as Told);
  const mean = (values: readonly Float32Array[]) => meanByPicture(values, rows);
  const guidance = { mean, unguided: { rows: () => rows } } as unknown as Guidance;
  const at = { index: 5, timestep: 1 };
  expect(gate.guide(guidance, at)).toBe(guidance);
  for (const from of [0, 1]) {
    const run = { at, rows: rows.slice(from, from + 1), from };
    const [name] = gate.wants(run);
    gate.took({ [name!]: floats(Float32Array.of(from, 7), 1, 1, 2) }, run);
  }
  const after = { index: 6, timestep: 0 };
  expect(gate.guide(guidance, after)).toBe(guidance.unguided);
  expect(gate.wants({ at: after, rows, from: 0 })).toEqual([]);
  const given = gate.feeds({ context: floats(new Float32Array(4), 2, 1, 2) }, { at: after, rows, from: 0 });
  expect(given[givenTo("mid.attn2")]).toEqual(floats(Float32Array.of(0, 7, 1, 7), 2, 1, 2));
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

  test("with DeepCache", () => {
    const both = extensionsOf({ ...request, tGate: 8, deepCache: 2 } as unknown as SettledRequest);
    expect(() => checkExtensions(both, { config: { ...(unet as object), channels: [1, 1] } as never, evaluations: 10 })).toThrow(
      expect.objectContaining({ code: "t-gate/with-deep-cache" }),
    );
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
