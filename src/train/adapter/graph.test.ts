import { afterAll, beforeAll, expect, test } from "vitest";
import { type FloatArray, floats, integers, type NdArray } from "../../core/array.ts";
import { seededRandom } from "../../core/random/seeded-random.ts";
import { collectLoras } from "../../pipeline/load/loras.ts";
import { ortRuntime } from "../../runtime/node/ort-runtime.ts";
import { idGraph, textGraph, unetGraph, withLoras } from "../../sessions/graphs.ts";
import { scattered } from "../../testing/finite-differences.ts";
import { goldenPath } from "../../testing/golden.ts";
import { goldenJson } from "../../testing/tensors.ts";
import { openAdapter, openModel } from "../../weights/index.ts";
import { noiseFeeds, type Prediction } from "../diffusion.ts";
import { adapterConfig } from "./config.ts";
import { adapterGraph } from "./graph.ts";
import { readStart } from "./start.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());

const [BATCH, IMAGES, POSITIONS, SIDE] = [2, 2, 8, 4];
/** Two ID images in the first sample, one in the second, whose text is dropped. */
const PLACES = [[2, 3], [3]];
const KEEP = [1, 0];
const IDS = [
  [49406, 320, 2308, 2308, 530, 736, 49407, 49407],
  [49406, 320, 1125, 786, 536, 2102, 49407, 49407],
];
const END = [6, 6];
const config = adapterConfig({ batch: BATCH, idImages: IMAGES, loraRank: 4, visionLayers: 1, resolution: 8 * SIDE });

const model = await openModel(goldenPath("tiny-sdxl"));
const file = goldenPath("tiny-photomaker-v1.safetensors");
const start = await readStart(file, model, config);
const channels = model.components.unet.tensors.get("conv_in.weight")!.shape[1]!;
const dims = [BATCH, channels, SIDE, SIDE] as const;
const { image } = start.vision;
const random = (seed: number, ...shape: number[]): FloatArray =>
  floats(
    scattered(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    ...shape,
  );
const places = floats(new Float32Array(BATCH * POSITIONS * IMAGES), BATCH, POSITIONS, IMAGES);
for (const [b, row] of PLACES.entries()) for (const [n, t] of row.entries()) places.data[(b * POSITIONS + t) * IMAGES + n] = 1;
const noise = noiseFeeds(
  seededRandom(1),
  dims,
  Float32Array.from({ length: 100 }, (_, t) => 1 - (t + 1) / 101),
);
const feeds = {
  ...(noise as Record<"noise" | "signal" | "sigma" | "timestep", FloatArray>),
  latents: random(1, ...dims),
  pixels: random(2, BATCH * IMAGES, 3, image, image),
  weight: random(3, BATCH, 1, SIDE, SIDE),
  timeIds: floats(Float32Array.of(48, 24, 8, 0, 16, 32, 20, 60, 0, 16, 32, 16), BATCH, 6),
  keep: floats(Float32Array.from(KEEP), BATCH, 1),
  ids: integers(IDS.flat(), BATCH, POSITIONS),
  ids2: integers(IDS.flat(), BATCH, POSITIONS),
  endAt: integers(END, BATCH),
  places,
};
const row = ({ data, dims: [, ...rest] }: FloatArray, b: number): FloatArray => {
  const size = rest.reduce((a, c) => a * c, 1);
  return floats(data.slice(b * size, (b + 1) * size), 1, ...rest);
};

/** The UNet's output for each sample as inference computes it: network by network, each of which is compared with the reference. */
async function answers(): Promise<number[][]> {
  const adapter = await openAdapter(file);
  const { pairs } = await collectLoras(model, adapter, 1, []);
  const texts = [textGraph(model, "text_encoder", pairs), textGraph(model, "text_encoder_2", pairs)] as const;
  const [width, width2] = texts.map(({ config }) => config.width) as [number, number];
  const graph = idGraph(adapter, goldenJson("photomaker-config.json"), width + width2);
  const { unfinished } = unetGraph(model, pairs);
  const load = (outputs: Parameters<typeof runtime.load>[0]) => runtime.load<string>(outputs);
  const [one, two, encode, fuse, unet] = await Promise.all([
    ...texts.map((text) => load(text.unfinished.outputs)),
    ...[load(graph.encode), load(graph.fuse), load(withLoras(unfinished.outputs, unfinished.pairs))],
  ]);
  const found: number[][] = [];
  for (let b = 0; b < BATCH; b++) {
    const told = { ids: integers(IDS[b]!, 1, POSITIONS), pooledAt: integers([END[b]!], 1) };
    const last = texts.map(({ config }) => `hidden_${config.layers - 1}`) as [string, string];
    const first = (await one!.run({ ids: told.ids }, [last[0]]))[last[0]]!.data;
    const second = await two!.run(told, [last[1], "pooled"]);
    const context = new Float32Array(POSITIONS * (width + width2));
    for (let t = 0; t < POSITIONS; t++) {
      context.set(first.slice(t * width, (t + 1) * width) as Float32Array, t * (width + width2));
      context.set(second[last[1]]!.data.slice(t * width2, (t + 1) * width2) as Float32Array, t * (width + width2) + width);
    }
    for (const [n, t] of PLACES[b]!.entries()) {
      const at = t * (width + width2);
      const classEmbeds = floats(context.slice(at, at + width + width2), 1, width + width2);
      const tokens = (await encode!.run({ pixels: row(feeds.pixels, b * IMAGES + n) })).tokens!.data as Float32Array;
      const fused = await fuse!.run({ classEmbeds, idTokens: floats(tokens, 1, width + width2) });
      context.set(fused.fused!.data as Float32Array, at);
    }
    const keep = (values: Float32Array): Float32Array => values.map((v) => v * KEEP[b]!);
    const [signal, sigma] = [feeds.signal.data[b]!, feeds.sigma.data[b]!];
    const noised = row(feeds.latents, b).data.map((v, i) => signal * v + sigma * row(feeds.noise, b).data[i]!);
    const pooled = keep(second.pooled!.data as Float32Array);
    const said = await unet!.run({
      latents: floats(noised, 1, channels, SIDE, SIDE),
      timestep: floats(feeds.timestep.data.slice(b, b + 1), 1),
      context: floats(keep(context), 1, POSITIONS, width + width2),
      pooled: floats(pooled, 1, pooled.length),
      timeIds: row(feeds.timeIds, b),
    });
    found.push(Array.from(said.noise!.data, Number));
  }
  return found;
}
let reference: number[][];
beforeAll(async () => {
  reference = await answers();
});

test.each(["epsilon", "v_prediction"] as Prediction[])(
  "the loss equals that of the inference networks, each sample with its own conditioning: %s",
  async (prediction) => {
    const { weights, loss, plain } = adapterGraph(model, start, {
      config,
      prediction,
      latents: { channels, side: SIDE },
      positions: POSITIONS,
    });
    const parameters = weights.layout(() => 0);
    const values = new Float32Array(parameters.reduce((sum, { length }) => sum + length, 0));
    await weights.initialise(values, parameters, 1, start.trained);
    const trained = parameters.map(({ name, dims: shape, offset, length }): readonly [string, NdArray] => [
      name,
      floats(values.slice(offset, offset + length), ...shape),
    ]);
    const session = await runtime.load({ loss, plain });
    const got = await session.run({ ...Object.fromEntries(trained), ...feeds });

    let [weighted, alike, count] = [0, 0, 0];
    for (const [b, said] of reference.entries()) {
      const [signal, sigma] = [feeds.signal.data[b]!, feeds.sigma.data[b]!];
      const [latents, added, weight] = [feeds.latents, feeds.noise, feeds.weight].map((each) => row(each, b).data);
      for (const [i, v] of said.entries()) {
        const target = prediction === "epsilon" ? added![i]! : signal * added![i]! - sigma * latents![i]!;
        weighted += weight![i % SIDE ** 2]! * (v - target) ** 2;
        alike += (v - target) ** 2;
        count++;
      }
    }
    expect(got.plain.data[0]).toBeCloseTo(alike / count, 4);
    expect(got.loss.data[0]).toBeCloseTo(weighted / count, 4);
  },
);
