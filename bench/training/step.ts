// One training step (forward and all gradients) of the miniature's UNet in ONNX Runtime, one thread: milliseconds.
//
//   npx tsx bench/training/step.ts [steps] [--profile [--shapes]] [--plain: convolutions as where weights are constants]
// Whole updates, beside PyTorch: bench/training/run.ts.
import "../../scripts/show-help.ts";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

process.env.ORT_DISABLE_TELEMETRY = "1";
const { InferenceSession, Tensor: OrtTensor } = await import("onnxruntime-node");
const { atOnce } = await import("../../src/core/steps.ts");
const { grad } = await import("../../src/graph/grad.ts");
const { encodeOnnx } = await import("../../src/graph/onnx/encode.ts");
const { mul, sub } = await import("../../src/graph/ops/elementwise.ts");
const { reduceMean } = await import("../../src/graph/ops/reduce.ts");
const { input } = await import("../../src/graph/ops/source.ts");
const { rewriteNamed } = await import("../../src/graph/rewrite.ts");
const { rewriteForTraining } = await import("../../src/graph/rewrite-for-training.ts");
const { Weights } = await import("../../src/graph/weights.ts");
const { unet, unetInputs } = await import("../../src/models/unet.ts");
const { channelBlock } = await import("../../src/runtime/node/channel-block.ts");
const { cpuLowerings, withBlocks } = await import("../../src/runtime/lowerings.ts");

const config = {
  inChannels: 4,
  outChannels: 4,
  channels: [48, 96, 128],
  depth: [0, 1, 1],
  midDepth: 1,
  upDepth: [0, 1, 1],
  heads: [3, 3, 4],
  layersPerBlock: 1,
  groups: 16,
  contextDim: 192,
  pooledDim: 128,
  timeIdDim: 16,
  linearProjection: true,
};
const BATCH = 16;
const steps = Number(process.argv.find((a) => /^\d+$/.test(a)) ?? 20);
const profile = process.argv.includes("--profile");

let seed = 1;
const noise = (scale: number): number => {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return (seed / 1073741824 - 1) * scale;
};
const feeds: Record<string, InstanceType<typeof OrtTensor>> = {};
const fill = (name: string, dims: readonly number[], value: () => number) => {
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, value);
  feeds[name] = new OrtTensor("float32", data, dims);
};
const feed = (name: string, dims: number[], value: () => number) => {
  fill(name, dims, value);
  return input(name, dims);
};
const weights: Record<string, ReturnType<typeof input>> = {};
const source = {
  param: (path: string, shape: readonly number[]) => {
    const value = shape.length > 1 ? () => noise(1.7 / Math.sqrt(shape.slice(1).reduce((a, b) => a * b, 1))) : () => noise(0.1);
    weights[path] = feed(path, [...shape], path.includes("norm") && path.endsWith("weight") ? () => 1 : value);
    return weights[path];
  },
};
const started = performance.now();
const inputs = unetInputs(config, { batch: BATCH, height: 16, width: 16, tokens: 32, timesteps: BATCH });
const values: Readonly<Record<string, () => number>> = { timestep: () => 500 + noise(499), timeIds: () => 64 };
for (const [name, { shape }] of Object.entries(inputs)) fill(name, shape.map(Number), values[name] ?? (() => noise(1.7)));
const error = sub(
  unet(inputs, new Weights(source), config),
  feed("target", [BATCH, 4, 16, 16], () => noise(1.7)),
);
const block = process.argv.includes("--plain") ? undefined : await channelBlock();
const lowerings = withBlocks(cpuLowerings, block);
const { loss } = rewriteNamed({ loss: reduceMean(mul(error, error)) }, rewriteForTraining);
const paths = Object.keys(weights);
const gradients = grad(loss, Object.values(weights));
const outputs = Object.fromEntries(gradients.map((g, i) => [`d:${paths[i]}`, g]));
const model = atOnce(encodeOnnx({ loss, ...outputs }, { lowerings, locate: (file) => file.id }));
const built = performance.now();
const folder = mkdtempSync(join(tmpdir(), "training-step-"));
const session = await InferenceSession.create(model, {
  executionProviders: ["cpu"],
  intraOpNumThreads: 1,
  logSeverityLevel: 3,
  enableProfiling: profile,
  profileFilePrefix: join(folder, "step"),
});
console.log(`build ${(built - started).toFixed(0)} ms, ${model.length} bytes; load ${(performance.now() - built).toFixed(0)} ms`);
// results go into preallocated buffers, as in training: new ones cost a page fault every 4 KB
const fetches: Record<string, InstanceType<typeof OrtTensor>> = { loss: new OrtTensor("float32", new Float32Array(1), []) };
for (const path of paths) {
  const { dims, size } = feeds[path]!;
  fetches[`d:${path}`] = new OrtTensor("float32", new Float32Array(size), dims);
}
const times: number[] = [];
for (let i = 0; i < steps; i++) {
  const start = performance.now();
  const out = await session.run(feeds, fetches);
  if (i === 0) console.log(`loss ${out.loss!.data[0]}`);
  if (i >= 3) times.push(performance.now() - start);
}
times.sort((a, b) => a - b);
console.log(`onnxruntime: median ${times[times.length >> 1]!.toFixed(0)} ms, best ${times[0]!.toFixed(0)} ms`);

if (!profile) rmSync(folder, { recursive: true });
else {
  session.endProfiling();
  const path = join(folder, readdirSync(folder)[0]!);
  const events = JSON.parse(readFileSync(path, "utf8")) as {
    cat: string;
    name: string;
    dur: number;
    args: Record<string, unknown>;
  }[];
  rmSync(folder, { recursive: true });
  // the best of all steps for each node, so that other load matters little
  const best = new Map<string, { us: number; key: string }>();
  for (const e of events) {
    if (e.cat !== "Node" || !e.name.endsWith("_kernel_time")) continue;
    const shapes = process.argv.includes("--shapes")
      ? ` ${JSON.stringify(e.args.input_type_shape).replaceAll('"float":', "")}`
      : "";
    const us = Math.min(e.dur, best.get(e.name)?.us ?? Number.POSITIVE_INFINITY);
    best.set(e.name, { us, key: `${e.args.op_name}${shapes}` });
  }
  const totals = new Map<string, { us: number; count: number }>();
  for (const { us, key } of best.values()) {
    const total = totals.get(key) ?? { us: 0, count: 0 };
    totals.set(key, { us: total.us + us, count: total.count + 1 });
  }
  const all = [...totals.values()].reduce((a, b) => a + b.us, 0);
  console.log(`kernels, each at its best: ${(all / 1000).toFixed(1)} ms`);
  for (const [name, { us, count }] of [...totals].sort((a, b) => b[1].us - a[1].us))
    console.log(`${(us / 1000).toFixed(2).padStart(8)} ms ${String(count).padStart(6)} x ${name}`);
}
