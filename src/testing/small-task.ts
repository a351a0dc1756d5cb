import { floats } from "../core/array.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { silu } from "../graph/ops/activation.ts";
import { sub } from "../graph/ops/elementwise.ts";
import { reduceMean } from "../graph/ops/reduce.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import { linear } from "../nn/layers.ts";
import { squaredError } from "../train/losses.ts";
import type { TrainingTask } from "../train/run.ts";
import { TrainableWeights } from "../train/trainable-weights.ts";

export interface Small {
  readonly batch?: number;
  readonly steps?: number;
  /** Index of a batch's first sample in that list. */
  readonly rows?: (at: { step: number; worker: number; micro: number }) => number;
  readonly change?: (task: TrainingTask) => TrainingTask;
}

/** A task that learns a function of two numbers; a step's samples are rows of one endless list. */
export function smallTask({
  batch = 8,
  steps = 20,
  rows = ({ step, worker }) => (step * 2 + worker) * 8,
  change = (t) => t,
}: Small = {}): TrainingTask {
  const weights = new TrainableWeights();
  const w = new Weights(weights);
  const x = input("x", [batch, 2]);
  const hidden = silu(linear(x, w.at("first"), { out: 12 }));
  const y = linear(hidden, w.at("second"), { out: 1 });
  const wanted = input("wanted", [batch, 1]);
  const task: TrainingTask = {
    name: "small",
    weights,
    loss: squaredError(y, wanted),
    metrics: { bias: reduceMean(sub(y, wanted)) },
    batch: (at) => {
      const values = Array.from({ length: batch }, (_, i) => {
        const random = seededRandom(9, rows(at) + i);
        return [random.uniform(-1, 1), random.uniform(-1, 1)] as const;
      });
      return {
        x: floats(Float32Array.from(values.flat()), batch, 2),
        wanted: floats(
          Float32Array.from(values, ([a, b]) => Math.sin(2 * a) * b),
          batch,
          1,
        ),
      };
    },
    groups: [
      { match: (name) => name.startsWith("first"), learningRate: 0.02, weightDecay: 0.01 },
      { match: () => true, learningRate: 0.01 },
    ],
    rate: { kind: "cosine", warmUp: 3, flat: 0 },
    steps,
    seed: 4,
    config: { batch },
    clip: 0.5,
    emaDecay: 0.9,
  };
  return change(task);
}
