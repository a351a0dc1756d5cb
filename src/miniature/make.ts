import { cp } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../core/errors.ts";
import { makeFolder } from "../core/make-folder.node.ts";
import { shippedFaceWeights } from "../faces/networks/open-networks.node.ts";
import { checkpointPath, type TrainingOptions, type TrainingProgress, type TrainingTask, train } from "../train/run.ts";
import type { Tensors } from "../weights/index.ts";
import { exists } from "../weights/read-json.node.ts";
import { type AdapterOptions, adapterTask } from "./adapter-task.ts";
import { type Denoising, denoisedLatents } from "./after-unet.ts";
import { baseTask, type LatentSet } from "./base-task.ts";
import { type DataSet, dataSet, TRAINING_SEED } from "./data-set.ts";
import { decoderTask } from "./decoder-task.ts";
import { deviation, encodeIdFeatures, encodePictures, FEATURE_VARIANTS } from "./encode-data.ts";
import { exportDrawnFaces, exportMiniature, exportSharpDecoder, type TrainedParts } from "./export.ts";
import { facesTask } from "./faces-task.ts";
import { judgeTask } from "./judge.ts";
import { readMiniature } from "./read-miniature.ts";
import { type SharpSet, sharpSet } from "./sharp-data.ts";
import { type SharpOptions, sharpTask } from "./sharp-task.ts";
import { readAutoencoder, readStageWeights, stageWeightsPath, trainedWeights, writeStageWeights } from "./stage-weights.ts";
import { type TaskOptions, vaeTask } from "./vae-task.ts";
import { visionTask } from "./vision-task.ts";

/** Stages in the order in which they build on each other; the judge and the face detector are independent. */
export const STAGES = ["vae", "decoder", "vision", "judge", "base", "adapter", "sharp", "faces"] as const;
export type StageName = (typeof STAGES)[number];

export interface MakeOptions {
  readonly folder: string;
  readonly people: number;
  readonly seed: number;
  /** Updates of each stage. */
  readonly steps: Readonly<Record<StageName, number>>;
  readonly stages?: readonly StageName[];
  /**
   * Folder of an earlier run, or a finished miniature. A stage starts from its weights that have the same name and shape, and stages
   * before the wanted ones are copied from it. The decoder starts from `vae`.
   */
  readonly from?: string | undefined;
  /** Factor on the adapter's LoRA in the written model; below 1, likeness is traded for the text. */
  readonly loraStrength?: number | undefined;
  readonly workers?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: TrainingProgress) => void;
  readonly onNotice?: (text: string) => void;
}

/** Samples per worker and step. */
export const BATCH: Readonly<Record<StageName, number>> = {
  vae: 8,
  decoder: 16,
  vision: 48,
  judge: 32,
  base: 16,
  adapter: 16,
  sharp: 4,
  faces: 4,
};

/** Updates that fit into 90 minutes on two cores. */
export const DEFAULT_STEPS: Readonly<Record<StageName, number>> = {
  vae: 10000,
  decoder: 3000,
  vision: 3000,
  judge: 3000,
  base: 8000,
  adapter: 4000,
  sharp: 6000,
  faces: 1500,
};
/** People whose pictures the sharp decoder is trained on, at most: four each, in 128x128. */
const SHARP_PEOPLE = 1500;
export const DEFAULT_PEOPLE = 6000;

/**
 * Makes the miniature end to end: draws its world, trains each stage, and writes the model to `<folder>/miniature`. Finished stages
 * are not repeated, and a stopped one resumes from its last checkpoint.
 * @throws UserError those of train, train/no-start, train/unfinished-stage
 */
export async function makeMiniature(options: MakeOptions): Promise<void> {
  const { folder, people, stages = STAGES, onNotice } = options;
  await makeFolder(folder);
  const drawn = (of: number) => (done: number) => {
    if (done % 500 === 0 || done === of) onNotice?.(`${done} of ${of} people are drawn`);
  };
  let data: Promise<DataSet> | undefined;
  const world: World = {
    data: () => (data ??= dataSet(join(folder, "data"), { seed: TRAINING_SEED, people }, drawn(people))),
    sharp: () => {
      const count = Math.min(people, SHARP_PEOPLE);
      return sharpSet(join(folder, "data"), count, drawn(count));
    },
  };
  await takeEarlier(options, stages);
  for (const stage of stages) {
    if (await exists(stageWeightsPath(folder, stage))) {
      onNotice?.(`${stage} is finished already`);
      continue;
    }
    const task = await taskOf(stage, world, options);
    const earlier =
      options.from === undefined || task.from !== undefined ? undefined : await startOf(task, options.from, onNotice);
    const weights = await train({ ...task, ...earlier }, trainingOptions(stage, options));
    await writeStageWeights(folder, stage, weights);
  }
  if (!(await allExist(folder))) return;
  const finished = join(folder, "miniature");
  if (stages.every((stage) => BESIDE.has(stage)) && options.from !== undefined && (await isMiniature(options.from)))
    await cp(options.from, finished, { recursive: true }); // whose other parts stay as they are, to the bit
  else await exportAll(folder, await world.data(), options.loraStrength);
  if (await exists(stageWeightsPath(folder, "sharp")))
    await exportSharpDecoder(finished, await readStageWeights(folder, "sharp"));
  if (await exists(stageWeightsPath(folder, "faces")))
    await exportDrawnFaces(finished, await shippedFaceWeights("yunet"), await readStageWeights(folder, "faces"));
}

/** Pictures to train on, drawn when they are first needed. */
interface World {
  readonly data: () => Promise<DataSet>;
  readonly sharp: () => Promise<SharpSet>;
}

/** Stages whose results lie beside the model's own parts and change none of them. */
const BESIDE: ReadonlySet<StageName> = new Set(["sharp", "faces"]);

const isMiniature = (folder: string): Promise<boolean> => exists(join(folder, "model_index.json"));

/** @throws UserError train/no-start */
async function startOf(
  task: TrainingTask,
  folder: string,
  onNotice: MakeOptions["onNotice"],
): Promise<Required<Pick<TrainingTask, "from" | "config">> | undefined> {
  const earlier = await earlierWeights(folder, task.name);
  if (earlier === undefined && task.name === "sharp") return undefined; // older miniatures have none
  if (earlier === undefined)
    throw new UserError(
      "train/no-start",
      `${folder} has no finished stage "${task.name}" to start from.`,
      "Name the --out folder of an earlier run or a finished miniature, or leave out --from.",
    );
  const wanted = task.weights.tensors();
  const same = [...earlier].filter(([name, { shape }]) => `${wanted.get(name)?.shape}` === `${shape}`);
  onNotice?.(`${task.name} starts from ${folder}: ${same.length} of ${wanted.size} weights match`);
  return { from: new Map(same), config: { ...task.config, from: folder } };
}

/**
 * Copies stages before the wanted ones from an earlier run, unless this run has them.
 * @throws UserError train/unfinished-stage, where copying would hide what was trained here
 */
async function takeEarlier({ folder, from, onNotice }: MakeOptions, wanted: readonly StageName[]): Promise<void> {
  if (from === undefined) return;
  const first = Math.min(...wanted.map((stage) => STAGES.indexOf(stage)));
  for (const stage of STAGES.slice(0, first)) {
    if (await exists(stageWeightsPath(folder, stage))) continue;
    const earlier = await earlierWeights(from, stage);
    if (earlier === undefined) continue;
    if (await exists(checkpointPath(join(folder, stage))))
      throw new UserError(
        "train/unfinished-stage",
        `The stage "${stage}" is unfinished in ${folder}, but later stages are to be trained on that of ${from}.`,
        `Finish it first (--stages ${stage}), or remove ${join(folder, stage)}, or name another --out.`,
      );
    await makeFolder(join(folder, stage));
    await writeStageWeights(folder, stage, await trainedWeights(earlier));
    onNotice?.(`${stage} is taken from ${from}`);
  }
}

/** A stage's weights, from a folder of training or from a finished miniature. */
async function earlierWeights(folder: string, stage: string): Promise<Tensors | undefined> {
  if (await exists(stageWeightsPath(folder, stage))) return readStageWeights(folder, stage);
  if (!(await isMiniature(folder))) return undefined;
  const { vae, vision, base, adapter } = await readMiniature(folder);
  const decoder = new Map([...vae].filter(([name]) => /^(decoder|post_quant_conv)\./.test(name)));
  const parts: Readonly<Record<string, Tensors>> = { vae, decoder, vision, base, adapter };
  return parts[stage];
}

const trainingOptions = (stage: StageName, { folder, workers, signal, onProgress }: MakeOptions): TrainingOptions => ({
  folder: join(folder, stage),
  workers,
  signal,
  ...(onProgress && { onProgress }),
});

async function taskOf(stage: StageName, world: World, { folder, seed, steps, from }: MakeOptions): Promise<TrainingTask> {
  const common = { steps: steps[stage], batch: BATCH[stage], seed };
  switch (stage) {
    case "vae":
      return vaeTask(await world.data(), common);
    case "decoder": {
      const [data, vae] = [await world.data(), await readStageWeights(folder, "vae")];
      return decoderTask(data, { ...common, vae, latents: await encodePictures(join(folder, "data"), data, vae) });
    }
    case "vision":
      return visionTask(await world.data(), common);
    case "judge":
      return judgeTask(await world.data(), common);
    case "base":
      return baseTask((await latentSet(folder, await world.data())).data, common);
    case "adapter": {
      const data = await world.data();
      return adapterTask((await latentSet(folder, data)).data, { ...common, ...(await adapterInputs(folder, data)) });
    }
    case "faces":
      return facesTask({ ...common, detector: await shippedFaceWeights("yunet") });
    case "sharp": {
      const scalingFactor =
        from !== undefined && (await isMiniature(from))
          ? (await readMiniature(from)).scalingFactor
          : (await latentSet(folder, await world.data())).scalingFactor;
      const data = await world.sharp();
      return sharpTask(data, { ...common, ...(await sharpInputs(folder, data, scalingFactor)) });
    }
  }
}

/** Latents of the sharp decoder's pictures, and what the denoiser makes of them. */
async function sharpInputs(
  folder: string,
  data: SharpSet,
  scalingFactor: number,
): Promise<Omit<SharpOptions, keyof TaskOptions>> {
  const [vae, base, kept] = [await readAutoencoder(folder), await readStageWeights(folder, "base"), join(folder, "data")];
  const encoded = (await encodePictures(kept, data, vae, "sharplatents")).map((v) => v * scalingFactor);
  const count = data.scenes.length;
  const through = (how: Denoising) => denoisedLatents(kept, data, encoded, base, how);
  const once = await through({ name: "once", count, from: [30, 450], steps: 1, guidance: 1, eta: 0 });
  const some = await through({ name: "some", count: Math.ceil(count / 3), from: [480, 481], steps: 4, guidance: 2, eta: 0 });
  const generation = { count: Math.ceil(count / 15), from: [999, 1000], steps: 16, guidance: 3 } as const;
  const plain = await through({ ...generation, name: "ddim", eta: 0 });
  const ancestral = await through({ ...generation, name: "ancestral", eta: 1 });
  const generated = new Float32Array(plain.length + ancestral.length);
  generated.set(plain);
  generated.set(ancestral, plain.length);
  return { vae, scalingFactor, latents: { encoded, once, some, generated } };
}

/** The latents scaled to standard deviation 1 for the denoiser, and the scaling factor. */
export async function latentSet(
  folder: string,
  data: DataSet,
): Promise<{ readonly data: LatentSet; readonly scalingFactor: number }> {
  const vae = await readStageWeights(folder, "vae");
  const latents = await encodePictures(join(folder, "data"), data, vae);
  const scalingFactor = Number((1 / deviation(latents)).toPrecision(4));
  return { data: scaled(data, latents, scalingFactor), scalingFactor };
}

/** The latents of a finished autoencoder, scaled for its denoiser. */
export const scaledLatents = async (
  folder: string,
  data: DataSet,
  { vae, scalingFactor }: Pick<TrainedParts, "vae" | "scalingFactor">,
): Promise<LatentSet> => scaled(data, await encodePictures(folder, data, vae), scalingFactor);

const scaled = (data: DataSet, latents: Float32Array, factor: number): LatentSet => ({
  ...data,
  latents: latents.map((v) => v * factor),
});

export async function adapterInputs(
  folder: string,
  data: DataSet,
): Promise<Pick<AdapterOptions, "base" | "features" | "variants">> {
  const vision = await readStageWeights(folder, "vision");
  const features = await encodeIdFeatures(join(folder, "data"), data, vision);
  return { base: await readStageWeights(folder, "base"), features, variants: FEATURE_VARIANTS };
}

const NEEDED = ["vae", "decoder", "vision", "base", "adapter"] as const;

async function allExist(folder: string): Promise<boolean> {
  return (await Promise.all(NEEDED.map((stage) => exists(stageWeightsPath(folder, stage))))).every(Boolean);
}

async function exportAll(folder: string, data: DataSet, loraStrength: number | undefined): Promise<void> {
  const { scalingFactor } = await latentSet(folder, data);
  const parts = {
    vae: await readAutoencoder(folder),
    vision: await readStageWeights(folder, "vision"),
    base: await readStageWeights(folder, "base"),
    adapter: await readStageWeights(folder, "adapter"),
    scalingFactor,
  };
  await exportMiniature(join(folder, "miniature"), parts, loraStrength);
}
