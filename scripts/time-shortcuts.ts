// Prints seconds per evaluation of a UNet with 217 million random parameters, at 256x256 with guidance: whole, in DeepCache's two parts,
// and with T-GATE.
//
//   npx tsx scripts/time-shortcuts.ts
import "./show-help.ts";
import { type FloatArray, floats, integers, type NdArray } from "../src/core/array.ts";
import { floatsToHalves } from "../src/core/floats.ts";
import { seededRandom } from "../src/core/random/seeded-random.ts";
import { param } from "../src/graph/ops/source.ts";
import { Weights } from "../src/graph/weights.ts";
import { deepCacheParts } from "../src/models/deep-cache.ts";
import { gateCrossAttention, gatedLayers, givenTo, saidBy } from "../src/models/t-gate.ts";
import { type UNetConfig, unet, unetInputs } from "../src/models/unet.ts";
import { ortRuntime } from "../src/runtime/node/ort-runtime.ts";

const CONFIG: UNetConfig = {
  inChannels: 4,
  outChannels: 4,
  channels: [128, 256, 512],
  depth: [0, 2, 4],
  midDepth: 4,
  upDepth: [0, 2, 4],
  heads: [2, 4, 8],
  layersPerBlock: 2,
  groups: 32,
  contextDim: 1024,
  pooledDim: 256,
  timeIdDim: 64,
  linearProjection: true,
};
const SIDE = 32; // of the latents
const ROUNDS = 4;

const random = seededRandom(1);
const weight = (path: string, shape: readonly number[]) => {
  const count = shape.reduce((a, b) => a * b);
  const scale = Math.sqrt((3 * shape[0]!) / count); // uniform numbers that preserve the standard deviation of their input
  const values = Float32Array.from({ length: count }, () => (shape.length === 1 ? 1 : random.uniform(-scale, scale)));
  const bytes = new Uint8Array(floatsToHalves(values).buffer);
  return param(path, { name: path, dtype: "F16", shape, source: { kind: "bytes", bytes, length: bytes.length } } as never);
};
const noise = unet(unetInputs(CONFIG), new Weights({ param: weight }), CONFIG);

const numbers = (...dims: number[]): FloatArray =>
  floats(
    Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => random.bell(1)),
    ...dims,
  );
const feedsOf = (rows: number, tokens = 77) => ({
  latents: numbers(rows, 4, SIDE, SIDE),
  timestep: floats(Float32Array.of(500), 1),
  context: numbers(rows, tokens, CONFIG.contextDim),
  pooled: numbers(rows, CONFIG.pooledDim),
  timeIds: numbers(rows, 6),
});

async function time<T>(label: string, run: () => Promise<T>): Promise<T> {
  const seconds: number[] = [];
  let last: T;
  do {
    const start = performance.now();
    last = await run();
    seconds.push((performance.now() - start) / 1000);
  } while (seconds.length < ROUNDS);
  const sorted = seconds.sort((a, b) => a - b).map((s) => s.toFixed(2));
  console.log(`${label}: ${sorted.join(" ")}`);
  return last;
}

const both = feedsOf(2);
const one = feedsOf(1);
{
  const runtime = ortRuntime();
  const whole = await runtime.load({ noise });
  await time("whole, two rows", () => whole.run(both));
  await time("whole, one row", () => whole.run(one));
  await runtime.close();
}
{
  const runtime = ortRuntime();
  const parts = deepCacheParts({ noise });
  const deep = await runtime.load(parts.deep);
  const outer = await runtime.load(parts.outer);
  const features = await time("deep layers, two rows", () => deep.run(both));
  await time("outer layers, two rows", () => outer.run({ ...both, deepFeature: features.deep! }));
  await runtime.close();
}
{
  const runtime = ortRuntime();
  const outputs = gateCrossAttention({ noise });
  const session = await runtime.load(outputs);
  const given = (value: (path: string, width: number) => NdArray) =>
    Object.fromEntries(gatedLayers(outputs).map(({ path, width }) => [givenTo(path), value(path, width)]));
  const whole = (rows: number) => ({
    ...given((_, width) => floats(new Float32Array(0), rows, 0, width)),
    queries: integers([SIDE * SIDE], 1),
  });
  await time("T-GATE, before the gate, two rows", () => session.run({ ...both, ...whole(2) }, ["noise"]));
  const kept = await time("T-GATE, at the gate, one row", () => session.run({ ...one, ...whole(1) }));
  const after = { ...feedsOf(1, 1), ...given((path) => kept[saidBy(path)]!), queries: integers([1], 1) };
  await time("T-GATE, after the gate, one row", () => session.run(after, ["noise"]));
  await runtime.close();
}
