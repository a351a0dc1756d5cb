import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { namedDim } from "../graph/dim.ts";
import { input } from "../graph/ops/source.ts";
import { Recorder } from "../graph/recorder.ts";
import { Weights } from "../graph/weights.ts";
import { unet } from "../models/unet.ts";
import { unetConfig } from "../models/unet-config.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { unetGraph } from "../sessions/graphs.ts";
import { goldenPath } from "../testing/golden.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { openModel } from "../weights/open-model.node.ts";
import { rename } from "../weights/rename.ts";
import { type TensorToWrite, writeSafetensors } from "../weights/safetensors-write.node.ts";
import { elementCount } from "../weights/tensor-entry.ts";
import { PhotoMaker } from "./photomaker.ts";

interface Relative {
  readonly config: object;
  readonly parameters: number;
  readonly tensors: number;
  /** Paths in the original layout, and in diffusers'. */
  readonly original: Readonly<Record<string, string>>;
}

const TINY = goldenPath("tiny-sdxl");
const { models, request, seed } = goldenJson("relatives", "relatives.json");
const golden = await goldenTensors("relatives", "relatives.safetensors");
const runtime = ortRuntime();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "relatives-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await runtime.close();
});

/** Names and shapes that the UNet of a config asks for. */
function shapesOf(config: object): [string, readonly number[]][] {
  const sizes = unetConfig(config, new Map());
  const recorder = new Recorder();
  const inputs = {
    latents: input("latents", [1, 4, 8, 8]),
    timestep: input("timestep", [1]),
    context: input("context", [1, namedDim("tokens"), sizes.contextDim]),
    pooled: input("pooled", [1, sizes.pooledDim]),
    timeIds: input("timeIds", [1, 6]),
  };
  unet(inputs, new Weights(recorder), sizes);
  return [...recorder.params].map(([name, { shape }]) => [name, shape]);
}

/** Weights by the formula of reference/sdxl_relatives.py. */
function weightsOf(config: object): TensorToWrite[] {
  const shapes = shapesOf(config).sort(([a], [b]) => (a < b ? -1 : 1));
  return shapes.map(([name, shape], k) => {
    const count = elementCount(shape);
    const data = new Float32Array(count);
    const scale = 2 / Math.sqrt(count / shape[0]!);
    const isNorm = name.endsWith("weight");
    for (let i = 0; i < count; i++) {
      const x = Math.sin(i + 1 + 1000 * k) * 43758.5453;
      const v = x - Math.floor(x) - 0.5;
      data[i] = shape.length > 1 ? v * scale : isNorm ? 1 + 0.2 * v : 0.1 * v;
    }
    return { name, shape, dtype: "F32", data };
  });
}

describe.each(Object.entries(models as Record<string, Relative>))("%s", (name, { config, parameters, tensors, original }) => {
  const single = () => join(folder, `${name}-a1111.safetensors`);
  const component = () => join(folder, name);

  beforeAll(async () => {
    const weights = weightsOf(config);
    expect(weights.reduce((sum, { shape }) => sum + elementCount(shape), 0)).toBe(parameters);
    expect(weights).toHaveLength(tensors);
    await mkdir(component());
    await writeFile(join(component(), "config.json"), JSON.stringify({ _class_name: "UNet2DConditionModel", ...config }));
    await writeSafetensors(join(component(), "diffusion_pytorch_model.safetensors"), weights);
    const backwards = new Map(Object.entries(original).map(([a, b]) => [b, a]));
    await writeSafetensors(
      single(),
      weights.map((tensor) => ({ ...tensor, name: `model.diffusion_model.${rename(tensor.name, backwards)}` })),
    );
  });

  test.each([
    ["folder", component],
    ["file in the original layout, without a config", single],
  ])("an evaluation of its UNet from a %s is diffusers'", async (_, path) => {
    const graph = unetGraph(await openModel(TINY, { parts: { unet: path() } }), new Map());
    expect(graph.unused).toEqual([]);
    const session = await runtime.load(graph.unfinished.outputs);
    const { noise } = await session.run({
      latents: await golden.floats("latents"),
      timestep: floats(Float32Array.of(500), 1),
      context: await golden.floats("context"),
      pooled: await golden.floats("pooled"),
      timeIds: await golden.floats("time_ids"),
    });
    await session.close();
    expect(noise.data as Float32Array).toMatchGolden((await golden.floats(`${name}.noise`)).data, 5e-4);
  });

  test("its picture is diffusers'", async () => {
    await using pm = await PhotoMaker.load({ model: TINY, unet: single(), precision: "f32" });
    const { images, latents } = await pm.generate({
      prompt: request.prompt,
      width: request.width,
      height: request.height,
      numInferenceSteps: request.num_inference_steps,
      guidanceScale: request.guidance_scale,
      scheduler: "euler",
      seed,
    });
    expect(latents.final).toMatchGolden((await golden.floats(`${name}.final`)).data, 2e-2);
    const actual = await sharp(images[0]!.png).removeAlpha().raw().toBuffer();
    expect(actual).toMatchGolden(Uint8Array.from(await golden.integers(`${name}.picture`)), 2);
  });
});
