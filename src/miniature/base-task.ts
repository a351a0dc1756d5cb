import { floats, integers, type NdArray } from "../core/array.ts";
import { type Random, seededRandom } from "../core/random/seeded-random.ts";
import { mul } from "../graph/ops/elementwise.ts";
import { reshape } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import { type WeightSource, Weights } from "../graph/weights.ts";
import { captionOf, type DrawnPerson, type Scene } from "../minifaces/index.ts";
import { unet } from "../models/unet.ts";
import { unetConfig } from "../models/unet-config.ts";
import { noiseSchedule } from "../samplers/noise-schedule.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { encodePlain } from "../text/window.ts";
import { diffusionInputs, diffusionLoss, noiseFeeds } from "../train/diffusion.ts";
import type { TrainingTask } from "../train/run.ts";
import { TrainableWeights } from "../train/trainable-weights.ts";
import { LATENT_CHANNELS, LATENT_SIDE, POSITIONS, SCHEDULER_CONFIG, SIDE, UNET_CONFIG } from "./configs.ts";
import { type DataSet, latentMask, PICTURES } from "./data-set.ts";
import { type Importance, importanceMap } from "./importance.ts";
import { miniTokenizer, textEncoders } from "./text.ts";
import { usualRun } from "./usual-run.ts";
import type { TaskOptions } from "./vae-task.ts";

export const LATENT_SIZE = LATENT_CHANNELS * LATENT_SIDE * LATENT_SIDE;
export const latentDims = (batch: number) => [batch, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE] as const;
export const ALPHAS = noiseSchedule(SCHEDULER_CONFIG, "exact").alphasCumprod;
/** SDXL's size conditioning: height, width, top, left, target height and width. */
const TIME_IDS = [SIDE, SIDE, 0, 0, SIDE, SIDE];

/** The data set with its latents, scaled for the denoiser: [pictures, LATENT_SIZE]. */
export interface LatentSet extends DataSet {
  readonly latents: Float32Array;
}

/** Shares of phrases about the person's looks in a caption; from them the model learns what the words look like. */
const IDENTITY_PHRASES = [0, 0.3, 0.6, 0.8] as const;
const NO_TEXT = 0.1;
/** Below 1: early timesteps, where little noise must be told from fine detail, are drawn a little less often. */
const TIMESTEP_POWER = 0.9;
/** Weights that are not matrices, or whose rows are independent of each other. */
const VECTORS = /norm|bias|embedding\.weight/;
/** First and last convolution, which Muon leaves to AdamW. */
const ENDS = /conv_in|conv_out/;
const IMPORTANCE: Importance = { person: 1, face: 2, eyes: 6 };

/** The miniature's denoiser, conditioned on a text: its prediction for `noisy`. */
export function miniUNet(
  noisy: Tensor,
  timestep: Tensor,
  { context, pooled, keep }: { readonly context: Tensor; readonly pooled: Tensor; readonly keep: Tensor },
  source: WeightSource,
): Tensor {
  const batch = noisy.shape[0] as number;
  const inputs = {
    latents: noisy,
    timestep,
    context: mul(context, reshape(keep, [batch, 1, 1])),
    pooled: mul(pooled, keep),
    timeIds: input("timeIds", [batch, 6]),
  };
  return unet(inputs, new Weights(source), unetConfig(UNET_CONFIG, new Map()));
}

/**
 * Task of the text-to-image model that PhotoMaker adapts: trains text encoders and UNet from scratch, together, on captions of scene and person.
 * A tenth of the texts are dropped, for guidance (Ho and Salimans 2022, arXiv 2207.12598).
 */
export function baseTask(data: LatentSet, { steps, batch, seed }: TaskOptions): TrainingTask {
  const weights = new TrainableWeights();
  const diffusion = diffusionInputs(latentDims(batch), SCHEDULER_CONFIG.prediction_type);
  const text = textEncoders(batch, [weights.part("text_encoder."), weights.part("text_encoder_2.")]);
  const keep = input("keep", [batch, 1]);
  const output = miniUNet(diffusion.noisy, diffusion.timestep, { ...text, keep }, weights.part("unet."));
  const { loss, plain } = diffusionLoss(output, diffusion);
  const tokenizer = miniTokenizer();
  return {
    name: "base",
    weights,
    loss,
    metrics: { plain },
    batch: ({ step, worker }) => {
      const random = seededRandom(seed, step, worker);
      const chosen = Array.from({ length: batch }, () => random.integer(data.scenes.length));
      const texts = chosen.map((index) => {
        const person = data.persons[Math.floor(index / PICTURES)]!;
        return captionIds(tokenizer, person, data.scenes[index]!, random);
      });
      const weight = chosen.map((index) => latentWeights(data, index));
      return { ...latentFeeds(data, chosen, weight, random, TIMESTEP_POWER), ...textFeeds(texts, tokenizer.end, random) };
    },
    groups: [
      { match: (name) => VECTORS.test(name), learningRate: 1.2e-3 },
      { match: (name) => ENDS.test(name), learningRate: 1.2e-3, weightDecay: 0.01 },
      { match: () => true, learningRate: 1.2e-3, weightDecay: 0.01, optimiser: "muon" },
    ],
    rate: { kind: "cosine", warmUp: 200, flat: 0.4 },
    ...usualRun(data, { steps, batch, seed }),
    emaDecay: 0.999,
  };
}

/** Token ids of a caption of scene and person. */
export function captionIds(tokenizer: Tokenizer, person: DrawnPerson, scene: Scene, random: Random): readonly number[] {
  const caption = captionOf(person, scene, random, { identity: random.pick(IDENTITY_PHRASES) });
  return encodePlain(tokenizer, caption, { length: POSITIONS, pad: tokenizer.pad }, "caption").ids;
}

/** SDXL's size conditioning of a batch: [batch, 6]. */
export const timeIdsOf = (batch: number): NdArray =>
  floats(Float32Array.from(Array.from({ length: batch }).flatMap(() => TIME_IDS)), batch, 6);

/** Loss weight of each latent pixel. */
export const latentWeights = (data: DataSet, index: number): Float32Array =>
  importanceMap(data, index, latentMask(data, index), LATENT_SIDE, IMPORTANCE);

/** Gathers the latents of chosen pictures: [chosen, LATENT_SIZE]. */
export function latentRows(latents: Float32Array, chosen: readonly number[]): Float32Array {
  const rows = new Float32Array(chosen.length * LATENT_SIZE);
  for (const [row, index] of chosen.entries())
    rows.set(latents.subarray(index * LATENT_SIZE, (index + 1) * LATENT_SIZE), row * LATENT_SIZE);
  return rows;
}

/** Feeds of latents, noise, timesteps and weights. */
export function latentFeeds(
  data: LatentSet,
  chosen: readonly number[],
  weights: readonly Float32Array[],
  random: Random,
  power: number,
): Record<string, NdArray> {
  const dims = latentDims(chosen.length);
  const area = LATENT_SIDE * LATENT_SIDE;
  const weight = new Float32Array(chosen.length * area);
  for (const [row, values] of weights.entries()) weight.set(values, row * area);
  return {
    latents: floats(latentRows(data.latents, chosen), ...dims),
    weight: floats(weight, chosen.length, 1, LATENT_SIDE, LATENT_SIDE),
    timeIds: timeIdsOf(chosen.length),
    ...noiseFeeds(random, dims, ALPHAS, power),
  };
}

/** Feeds of token ids, end positions, and whether each text is kept. */
export function textFeeds(texts: readonly (readonly number[])[], end: number, random: Random): Record<string, NdArray> {
  return {
    ids: integers(texts.flat(), texts.length, POSITIONS),
    endAt: integers(
      texts.map((ids) => Math.max(0, ids.indexOf(end))),
      texts.length,
    ),
    keep: floats(
      Float32Array.from(texts, () => (random.chance(NO_TEXT) ? 0 : 1)),
      texts.length,
      1,
    ),
  };
}
