import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { PhotoMaker } from "../pipeline/photomaker.ts";
import { openRuntime } from "../sessions/runtimes.node.ts";
import { checkpointPath, type TrainingProgress, train } from "../train/run.ts";
import { fingerprint } from "../weights/fingerprint.node.ts";
import { openTensors, readFloats, type Tensors } from "../weights/index.ts";
import { exists } from "../weights/read-json.node.ts";
import { keepSettings, readAblations, writeAblations } from "./ablation-results.ts";
import { type AdapterOptions, adapterTask } from "./adapter-task.ts";
import { type Benchmark, openBenchmark } from "./benchmark.ts";
import { dataSet, TRAINING_SEED } from "./data-set.ts";
import { encodeIdFeatures, FEATURE_VARIANTS } from "./encode-data.ts";
import { exportAdapter } from "./export.ts";
import { composeTokens, LINEAR_WEIGHT, MOST_ID_IMAGES } from "./id-embedding.ts";
import { BATCH, scaledLatents } from "./make.ts";
import type { PortraitGround } from "./portraits.ts";
import { readMiniature } from "./read-miniature.ts";
import { readStageWeights, stageWeightsPath, writeStageWeights } from "./stage-weights.ts";

interface Variant {
  /** Differences from the reference's training. */
  readonly training: Pick<AdapterOptions, "embedding" | "idImages" | "masked" | "behind">;
  /** Background of the test's ID images, as in training. */
  readonly ground?: PortraitGround;
}

/**
 * Variants to compare: PhotoMaker (arXiv 2312.04461), section 5.3, tables 3 to 5, and the masking of section 4. The reference is the miniature's own
 * training: stacked embeddings of up to 4 ID images, a masked loss for half the samples, and noise, scene or a plain background.
 */
export const ABLATIONS = {
  reference: { training: {} },
  average: { training: { embedding: "average" } },
  linear: { training: { embedding: "linear" } },
  "one-id-image": { training: { idImages: 1 } },
  "id-background-noise": { training: { behind: "noise" }, ground: "noise" },
  "id-background-kept": { training: { behind: "scene" } },
  "no-masked-loss": { training: { masked: 0 } },
} as const satisfies Readonly<Record<string, Variant>>;
export type AblationName = keyof typeof ABLATIONS;
export const ABLATION_NAMES = Object.keys(ABLATIONS) as AblationName[];

export interface AblationOptions {
  /** Folder of the finished miniature whose autoencoder, vision transformer and base model all runs share. */
  readonly from: string;
  /** Folder for pictures, runs and results. */
  readonly folder: string;
  readonly variants?: readonly AblationName[];
  /** Runs per variant. */
  readonly seeds: number;
  /** Updates per run. */
  readonly steps: number;
  /** Number of people the miniature was trained on. */
  readonly people: number;
  /** The judge's weights. */
  readonly judge: string;
  readonly test: {
    readonly people: number;
    readonly pictures: number;
    readonly seed: number;
    readonly steps: number;
    readonly guidanceScale: number;
    readonly startMergeStep: number;
  };
  readonly workers?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: TrainingProgress) => void;
  /** Called as the pictures of a test are generated. */
  readonly onPictures?: (done: number, of: number) => void;
  readonly onNotice?: (text: string) => void;
}

/**
 * Retrains a miniature's adapter in each variant with each seed, evaluates it, and adds a line to `<folder>/results.jsonl`. Finished runs
 * are not repeated, and a stopped one resumes from its last checkpoint.
 * @throws UserError ablations/other-settings, evaluate/training-seed, and those of readMiniature and train
 */
export async function runAblations(options: AblationOptions): Promise<void> {
  const { from, folder, variants = ABLATION_NAMES, seeds, steps, people, test, judge, signal, onNotice } = options;
  const workers = options.workers ?? availableParallelism();
  const miniature = await readMiniature(from);
  const parts = [miniature.vae, miniature.vision, miniature.base, (await openTensors(judge)).tensors];
  const tests = Object.fromEntries(Object.entries(test).map(([name, value]) => [`test.${name}`, value]));
  const weights = await fingerprint(parts.flatMap((tensors) => [...tensors.values()]));
  await keepSettings(folder, { steps, people, workers, batch: BATCH.adapter, ...tests, weights: weights.slice(0, 12) });

  const kept = join(folder, "data");
  const data = await dataSet(kept, { seed: TRAINING_SEED, people });
  const latents = await scaledLatents(kept, data, miniature);
  const features = await encodeIdFeatures(kept, data, miniature.vision);
  const inputs = { base: miniature.base, features, variants: FEATURE_VARIANTS };
  await using bench = new LazyBenchmark(options);
  for (let seed = 0; seed < seeds; seed++)
    for (const variant of variants) {
      signal?.throwIfAborted();
      const rows = await readAblations(folder);
      const name = `${variant}-${seed}`;
      if (rows.some((row) => row.variant === variant && row.seed === seed)) {
        onNotice?.(`${name} is already done`);
        continue;
      }
      const { training } = ABLATIONS[variant];
      const task = adapterTask(latents, { ...inputs, ...training, steps, batch: BATCH.adapter, seed });
      const adapter = await trained({ ...task, name }, options, workers);
      const figures = await judged(variant, { adapter, vision: miniature.vision }, bench, options);
      await writeAblations(folder, [...rows, { variant, seed, figures }]);
      await rm(checkpointPath(join(folder, name)), { force: true });
      onNotice?.(
        `${name}: likeness ${figures.faceSimShare.value.toFixed(3)}, text lost ${figures.textLoss.value.toFixed(1)} points`,
      );
    }
}

/** The run's weights, read if it is finished, else trained. */
async function trained(
  task: ReturnType<typeof adapterTask>,
  { folder, signal, onProgress }: AblationOptions,
  workers: number,
): Promise<Tensors> {
  if (!(await exists(stageWeightsPath(folder, task.name)))) {
    const weights = await train(task, { folder: join(folder, task.name), workers, signal, ...(onProgress && { onProgress }) });
    await writeStageWeights(folder, task.name, weights);
  }
  return readStageWeights(folder, task.name);
}

async function judged(
  variant: AblationName,
  { adapter, vision }: { readonly adapter: Tensors; readonly vision: Tensors },
  bench: LazyBenchmark,
  { from, folder, test }: AblationOptions,
) {
  const { training, ground = "scene" }: Variant = ABLATIONS[variant];
  const name = `id_encoder.${LINEAR_WEIGHT}`;
  const linear = adapter.get(name);
  const weight = linear && (await readFloats(linear));
  const plain = new Map([...adapter].filter(([key]) => key !== name)); // used for this comparison, not part of an adapter file
  const path = await exportAdapter(join(folder, "judged"), { vision, adapter: plain });
  const benchmark = await bench.get();
  const model = await PhotoMaker.load({ model: from, adapter: path });
  try {
    const { figures } = await benchmark.measure(model, {
      idImages: MOST_ID_IMAGES,
      startMergeStep: test.startMergeStep,
      ground,
      compose: (tokens) => composeTokens(training.embedding ?? "stacked", tokens, weight),
    });
    return figures;
  } finally {
    await model.close();
  }
}

/** The benchmark, opened when the first adapter is evaluated. */
class LazyBenchmark implements AsyncDisposable {
  readonly #options: AblationOptions;
  readonly #runtime = openRuntime();
  #opened: Benchmark | undefined;

  constructor(options: AblationOptions) {
    this.#options = options;
  }

  async get(): Promise<Benchmark> {
    if (this.#opened !== undefined) return this.#opened;
    const { from, judge, test, signal, onPictures } = this.#options;
    const { tensors } = await openTensors(judge);
    const total = test.people * (test.pictures + 1);
    let done = 0;
    const count = (more: number): void => {
      done += more;
      onPictures?.(((done - 1) % total) + 1, total);
    };
    const without = await PhotoMaker.load({ model: from });
    try {
      const options = { ...test, judge: tensors, runtime: this.#runtime, signal, onPictures: count };
      this.#opened = await openBenchmark(options, without);
    } finally {
      await without.close();
    }
    return this.#opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runtime.close();
  }
}
