// Trains the included miniature's base model further with AdamW and with Muon, from the same weights on the same batches: seconds per update,
// and the loss on unseen people.
//
//   npx tsx bench/training/optimisers.ts [--steps 200] [--people 1000] [--data <folder, where pictures are kept>]
import "../../scripts/show-help.ts";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { TrainedWeights } from "../../src/train/run.ts";

process.env.ORT_DISABLE_TELEMETRY = "1";
const { floats } = await import("../../src/core/array.ts");
const { baseTask } = await import("../../src/miniature/base-task.ts");
const { dataSet, TRAINING_SEED } = await import("../../src/miniature/data-set.ts");
const { scaledLatents } = await import("../../src/miniature/make.ts");
const { readMiniature } = await import("../../src/miniature/read-miniature.ts");
const { ortRuntime } = await import("../../src/runtime/node/ort-runtime.ts");
const { trainedWeights } = await import("../../src/miniature/stage-weights.ts");
const { train } = await import("../../src/train/run.ts");

const { values: flags } = parseArgs({
  options: {
    steps: { type: "string", default: "200" },
    people: { type: "string", default: "1000" },
    data: { type: "string" },
  },
});
const [steps, people] = [Number(flags.steps), Number(flags.people)];
const [SEED, UNSEEN_SEED, UNSEEN, BATCHES] = [1, 2, 200, 40];

const folder = await mkdtemp(join(tmpdir(), "optimisers-"));
const runtime = ortRuntime();
try {
  const miniature = await readMiniature(join(import.meta.dirname, "../../assets/miniature"));
  const latents = async (seed: number, count: number) => {
    const data = flags.data ?? join(folder, "data");
    return scaledLatents(data, await dataSet(data, { seed, people: count }), miniature);
  };
  const task = { ...baseTask(await latents(TRAINING_SEED, people), { steps, batch: 16, seed: SEED }), from: miniature.base };
  const unseen = baseTask(await latents(UNSEEN_SEED, UNSEEN), { steps, batch: 32, seed: SEED });
  const session = await runtime.load({ plain: unseen.metrics!.plain! });
  const lossOf = async (weights: TrainedWeights): Promise<number> => {
    const values = Object.fromEntries([...weights].map(([name, { shape, values }]) => [name, floats(values, ...shape)]));
    let sum = 0;
    for (let step = 0; step < BATCHES; step++) {
      const batch = await unseen.batch({ step, worker: 0, micro: 0 });
      sum += (await session.run({ ...values, ...batch })).plain.data[0] as number;
    }
    return sum / BATCHES;
  };
  console.log(`before: loss on unseen people ${(await lossOf(await trainedWeights(miniature.base))).toFixed(4)}`);
  for (const optimiser of ["adamw", "muon"] as const) {
    const groups = task.groups.map((group) => ({ ...group, ...(group.optimiser && { optimiser }) }));
    const started = performance.now();
    const rate = { kind: "cosine", warmUp: 30, flat: 0.4 } as const;
    const trained = await train({ ...task, groups, rate, emaDecay: 0.98 }, { folder: join(folder, optimiser) });
    const seconds = (performance.now() - started) / 1000 / steps;
    console.log(`${optimiser}: ${seconds.toFixed(2)} s per update, loss on unseen people ${(await lossOf(trained)).toFixed(4)}`);
  }
} finally {
  await runtime.close();
  await rm(folder, { recursive: true });
}
