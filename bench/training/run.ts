// Samples per second in training the miniature's UNet, whole updates: forward, gradients, clipping, AdamW, moving average. Here and in PyTorch,
// all loaded at once and run in short turns, so that changes in the machine's speed affect all alike.
//
//   npx tsx bench/training/run.ts --python <with torch and diffusers> [--rounds 40] [--steps 5: updates of a turn] [--compile]
import "../../scripts/show-help.ts";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

process.env.ORT_DISABLE_TELEMETRY = "1";
const { spread } = await import("../../src/bench/summary.ts");
const { floats } = await import("../../src/core/array.ts");
const { gaussians } = await import("../../src/core/random/gaussians.ts");
const { seededRandom } = await import("../../src/core/random/seeded-random.ts");
const { mul, sub } = await import("../../src/graph/ops/elementwise.ts");
const { reduceMean } = await import("../../src/graph/ops/reduce.ts");
const { input } = await import("../../src/graph/ops/source.ts");
const { Weights } = await import("../../src/graph/weights.ts");
const { LATENT_CHANNELS, LATENT_SIDE, POSITIONS, UNET_CONFIG } = await import("../../src/miniature/configs.ts");
const { unet, unetInputs } = await import("../../src/models/unet.ts");
const { unetConfig } = await import("../../src/models/unet-config.ts");
const { ParallelSteps, trainingState } = await import("../../src/runtime/node/training/parallel-steps.ts");
const { trainingOutputs } = await import("../../src/train/run.ts");
const { TrainableWeights } = await import("../../src/train/trainable-weights.ts");

const { values: flags } = parseArgs({
  options: {
    python: { type: "string" },
    rounds: { type: "string", default: "40" },
    steps: { type: "string", default: "5" },
    compile: { type: "boolean", default: false },
  },
});
const [rounds, steps] = [Number(flags.rounds), Number(flags.steps)];
const cores = availableParallelism();
const BATCH = 16;
/** Updates before the first turn, and uncounted updates at the start of a turn, which refill the processor's caches. */
const [WARM_UP, FIRST] = [5, 1];

interface Way {
  readonly version: string;
  readonly parameters: number;
  /** Runs some updates. @returns seconds of each */
  turn(updates: number): Promise<number[]>;
  close(): Promise<unknown>;
}

/** Opens photomaker's trainer: a worker per core, each with its own batch. */
async function ours(): Promise<Way> {
  const weights = new TrainableWeights();
  const config = unetConfig(UNET_CONFIG, new Map());
  const latents = [BATCH, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE];
  const sizes = { batch: BATCH, height: LATENT_SIDE, width: LATENT_SIDE, tokens: POSITIONS, timesteps: BATCH };
  const inputs = unetInputs(config, sizes);
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
  const parameters = weights.layout(() => 0);
  const size = parameters.reduce((sum, { length }) => sum + length, 0);
  const state = trainingState(size, { ema: true, workers: cores });
  await weights.initialise(state.params, parameters, 1);
  state.ema!.set(state.params);
  const graph = trainingOutputs({ weights, loss: reduceMean(mul(d, d)) }, parameters);
  const workers = await ParallelSteps.open({ ...graph, parameters, state, threads: 1 });
  const batches = Array.from({ length: cores }, () => [feeds]);
  let step = 0;
  const update = async (): Promise<number> => {
    const start = performance.now();
    await workers.step(batches, {
      groups: [{ lr: 1e-3, weightDecay: 0.01 }],
      beta1: 0.9,
      beta2: 0.99,
      eps: 1e-8,
      momentum: 0.95,
      step: ++step,
      clip: 1,
      emaDecay: 0.999,
    });
    return (performance.now() - start) / 1000;
  };
  return {
    version: "photomaker",
    parameters: size,
    turn: async (updates) => {
      const seconds: number[] = [];
      for (let i = 0; i < updates; i++) seconds.push(await update());
      return seconds;
    },
    close: () => workers.close(),
  };
}

/** Opens peer.py, which answers each line with a line. */
async function peer(processes: number, more: readonly string[]): Promise<Way> {
  const args = Object.entries({ processes, threads: cores / processes, batch: (BATCH * cores) / processes });
  const path = join(import.meta.dirname, "peer.py");
  const child: ChildProcess = spawn(flags.python!, [path, ...args.flatMap(([name, n]) => [`--${name}`, `${n}`]), ...more], {
    env: { ...process.env, UNET_CONFIG: JSON.stringify(UNET_CONFIG) },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const next = async <T>(): Promise<T> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error("peer.py has exited");
      if (value.startsWith("> ")) return JSON.parse(value.slice(2)) as T;
    }
  };
  const about = await next<{ parameters: number; version: string }>();
  return {
    ...about,
    turn: (updates) => {
      child.stdin!.write(`${updates}\n`);
      return next<number[]>();
    },
    close: () => {
      child.stdin!.end();
      return once(child, "exit");
    },
  };
}

const open = new Map<string, Way>([[`photomaker, ${cores} workers`, await ours()]]);
if (flags.python !== undefined)
  for (const processes of [1, cores])
    for (const more of [[], ["--channels-last"], ...(flags.compile ? [["--compile"]] : [])])
      open.set(
        [`PyTorch, ${processes} x ${cores / processes} threads`, ...more.map((flag) => flag.slice(2))].join(", "),
        await peer(processes, more),
      );
const rates = new Map([...open.keys()].map((name) => [name, [] as number[]]));
for (const way of open.values()) await way.turn(WARM_UP);
for (let round = 0; round < rounds; round++) {
  const names = [...open.keys()];
  if (round % 2 === 1) names.reverse(); // so that the order does not matter
  for (const name of names) {
    const seconds = (await open.get(name)!.turn(FIRST + steps)).slice(FIRST);
    rates.get(name)!.push((BATCH * cores * seconds.length) / seconds.reduce((a, b) => a + b));
  }
  console.error(`${round + 1}: ${names.map((name) => `${name} ${rates.get(name)!.at(-1)!.toFixed(1)}`).join("; ")}`);
}
for (const way of open.values()) await way.close();

const [own] = rates.values() as unknown as [number[]];
/** Describes ratios: geometric mean, its standard error, and the middle half. */
const about = (ratios: readonly number[]): string => {
  const logs = ratios.map(Math.log);
  const mean = logs.reduce((a, b) => a + b) / logs.length;
  const error = Math.sqrt(logs.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (logs.length - 1) / logs.length);
  const sorted = ratios.toSorted((a, b) => a - b);
  const [low, high] = [0.25, 0.75].map((share) => sorted[Math.round(share * (sorted.length - 1))]!.toFixed(2));
  return `${Math.exp(mean).toFixed(2)} ± ${(Math.exp(mean) * error).toFixed(2)} times, the middle half ${low} to ${high}`;
};
console.log(`${BATCH * cores} samples per update, ${rounds} turns of ${steps} updates each; ratios within a round`);
for (const [name, { version, parameters }] of open) {
  const theirs = rates.get(name)!;
  const { median, max } = spread(theirs);
  const ratios = theirs.map((rate, round) => own[round]! / rate);
  console.log(
    `${name} (${version}, ${parameters} parameters): median ${median.toFixed(1)}, best ${max.toFixed(1)} samples/s; ours is ${about(ratios)}`,
  );
}
