// Samples a second in training the miniature's UNet, whole updates: forward, gradients, clipping, AdamW, moving average. Here and in PyTorch, in turns.
// npx tsx bench/training/run.ts --python <with torch and diffusers> [--rounds 3] [--steps 30] [--compile]
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";

process.env.ORT_DISABLE_TELEMETRY = "1";
const { spread } = await import("../../src/bench/summary.ts");
const { floats } = await import("../../src/core/array.ts");
const { gaussians } = await import("../../src/core/random/gaussians.ts");
const { seededRandom } = await import("../../src/core/random/seeded-random.ts");
const { mul, sub } = await import("../../src/graph/ops/elementwise.ts");
const { reduceMean } = await import("../../src/graph/ops/reduce.ts");
const { input } = await import("../../src/graph/ops/source.ts");
const { Weights } = await import("../../src/graph/weights.ts");
const { LATENT_CHANNELS, LATENT_SIDE, POSITIONS, UNET_CONFIG } = await import("../../src/mini/configs.ts");
const { unet } = await import("../../src/models/unet.ts");
const { unetConfig } = await import("../../src/models/unet-config.ts");
const { train } = await import("../../src/train/run.ts");
const { TrainableWeights } = await import("../../src/train/trainable-weights.ts");

const { values: flags } = parseArgs({
  options: {
    python: { type: "string" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "30" },
    compile: { type: "boolean", default: false },
  },
});
const [rounds, steps] = [Number(flags.rounds), Number(flags.steps)];
const cores = availableParallelism();
const BATCH = 16;
const WARM_UP = 5;

interface Measured {
  readonly samplesPerSecond: number;
  readonly parameters: number;
  readonly version: string;
}

/** A worker for each core, each with a batch of its own. */
async function ours(): Promise<Measured> {
  const weights = new TrainableWeights();
  const config = unetConfig(UNET_CONFIG, new Map());
  const latents = [BATCH, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE];
  const inputs = {
    latents: input("latents", latents),
    timestep: input("timestep", [BATCH]),
    context: input("context", [BATCH, POSITIONS, config.contextDim]),
    pooled: input("pooled", [BATCH, config.pooledDim]),
    timeIds: input("timeIds", [BATCH, 6]),
  };
  const target = input("target", latents);
  const d = sub(unet(inputs, new Weights(weights), config), target);
  const random = seededRandom(1);
  const feeds = Object.fromEntries(
    Object.entries({ ...inputs, target }).map(([name, { shape }]) => {
      const dims = shape.map(Number);
      const count = dims.reduce((a, b) => a * b);
      return [name, floats(name === "timestep" ? new Float32Array(count).fill(500) : gaussians(random, count), ...dims)];
    }),
  );
  const folder = await mkdtemp(join(tmpdir(), "training-bench-"));
  const seconds: number[] = [];
  let last = performance.now();
  try {
    await train(
      {
        ...{ name: "unet", weights, loss: reduceMean(mul(d, d)), steps: steps + WARM_UP, seed: 1, config: {} },
        batch: () => {
          const now = performance.now();
          seconds.push((now - last) / 1000);
          last = now;
          return feeds;
        },
        groups: [{ match: () => true, learningRate: 1e-3, weightDecay: 0.01 }],
        rate: { kind: "cosine", warmUp: 10, flat: 1 },
        ...{ beta2: 0.99, clip: 1, emaDecay: 0.999 },
      },
      { folder, workers: cores, threads: 1 },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
  // a worker's batches of one update are asked for together: the first of each has the time since the update before
  const updates = seconds.filter((_, i) => i % cores === 0).slice(WARM_UP);
  const parameters = [...weights.tensors().values()].reduce(
    (sum, { shape }) => sum + shape.reduce<number>((a, b) => a * Number(b), 1),
    0,
  );
  return { samplesPerSecond: (BATCH * cores) / spread(updates).median, parameters, version: "photomaker" };
}

async function peer(processes: number, more: readonly string[]): Promise<Measured> {
  const args = Object.entries({ processes, threads: cores / processes, batch: (BATCH * cores) / processes, steps });
  const path = join(import.meta.dirname, "peer.py");
  const { stdout } = await promisify(execFile)(
    flags.python!,
    [path, ...args.flatMap(([name, n]) => [`--${name}`, `${n}`]), ...more],
    {
      env: { ...process.env, UNET_CONFIG: JSON.stringify(UNET_CONFIG) },
    },
  );
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Measured;
}

const ways: [string, () => Promise<Measured>][] = [
  [`photomaker, ${cores} workers`, ours],
  ...(flags.python === undefined
    ? []
    : [1, cores].flatMap((processes) =>
        [[], ["--channels-last"], ...(flags.compile ? [["--compile"]] : [])].map((more): [string, () => Promise<Measured>] => [
          `PyTorch, ${processes} x ${cores / processes} threads${more.length > 0 ? `, ${more.join(" ").replaceAll("--", "")}` : ""}`,
          () => peer(processes, more),
        ]),
      )),
];
const results = new Map(ways.map(([name]) => [name, [] as Measured[]]));
for (let round = 0; round < rounds; round++)
  for (const [name, measure] of ways) {
    const found = await measure();
    results.get(name)!.push(found);
    console.error(`${name}: ${found.samplesPerSecond.toFixed(1)}`);
  }
const rates = (of: readonly Measured[]): number[] => of.map(({ samplesPerSecond }) => samplesPerSecond);
const own = rates(results.get(ways[0]![0])!);
console.log(`${BATCH * cores} samples an update, medians of ${rounds} rounds of ${steps} updates; ratios within each round`);
for (const [name, found] of results) {
  const { parameters, version } = found[0]!;
  const theirs = rates(found);
  const { median, min, max } = spread(theirs.map((rate, round) => own[round]! / rate));
  console.log(
    `${name} (${version}, ${parameters} numbers): ${spread(theirs).median.toFixed(1)} samples/s, ours is ${median.toFixed(2)} times (${min.toFixed(2)} to ${max.toFixed(2)})`,
  );
}
