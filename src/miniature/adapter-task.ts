import { floats, type NdArray } from "../core/array.ts";
import { type Random, seededRandom } from "../core/random/seeded-random.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { reshape } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import { rewrite } from "../graph/rewrite.ts";
import { fixedSize } from "../graph/tensor.ts";
import { Weights } from "../graph/weights.ts";
import { captionOf, classWordAt } from "../minifaces/index.ts";
import { projectId } from "../models/id-encoder-v1.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { expandTrigger } from "../text/trigger.ts";
import { diffusionInputs, diffusionLoss } from "../train/diffusion.ts";
import type { TrainingTask } from "../train/run.ts";
import { stackTokens } from "../train/stack-tokens.ts";
import { TRANSFORMER_LAYERS, trainableLora } from "../train/trainable-lora.ts";
import { TrainableWeights } from "../train/trainable-weights.ts";
import { type Tensors, withoutPrefix } from "../weights/index.ts";
import { type LatentSet, latentDims, latentFeeds, latentWeights, miniUNet, textFeeds } from "./base-task.ts";
import { LORA_RANK, POSITIONS, PROJECTIONS, SCHEDULER_CONFIG, VISION_WIDTH } from "./configs.ts";
import { ALBUM, type Behind, latentMask, PICTURES } from "./data-set.ts";
import { type Embedding, inTurn, linearToken, MOST_ID_IMAGES } from "./id-embedding.ts";
import { miniTokenizer, textEncoders } from "./text.ts";
import { usualRun } from "./usual-run.ts";
import type { TaskOptions } from "./vae-task.ts";

export const TRIGGER = "img";
/** Below 1: late timesteps, which decide who the person is, are drawn more often; early ones mostly add noise to the gradients. */
const TIMESTEP_POWER = 0.6;

export interface AdapterOptions extends TaskOptions {
  readonly base: Tensors;
  /** Features of ID images, [people · ALBUM · variants, VISION_WIDTH]. */
  readonly features: Float32Array;
  /** Background of each variant of an ID image. */
  readonly variants: readonly Behind[];
  /** The only background that the run sees; all by default. */
  readonly behind?: Behind;
  readonly embedding?: Embedding;
  /** Most ID images per sample. */
  readonly idImages?: number;
  /** Share of samples whose loss covers only the person; by default the paper's 0.5. */
  readonly masked?: number;
  readonly lora?: boolean;
}

/** Features per sample, and the tokens they become. */
const SIZES: Readonly<Record<Embedding, { readonly images: number; readonly slots: number }>> = {
  stacked: { images: MOST_ID_IMAGES, slots: MOST_ID_IMAGES },
  average: { images: 1, slots: 1 },
  linear: { images: MOST_ID_IMAGES, slots: 1 },
};

/**
 * Task of PhotoMaker's training (arXiv 2312.04461, section 4): projections, fuse MLPs and LoRA learn to show the person of the ID images; text
 * encoders and UNet are frozen.
 */
export function adapterTask(data: LatentSet, options: AdapterOptions): TrainingTask {
  const {
    steps,
    batch,
    seed,
    base,
    embedding = "stacked",
    idImages = MOST_ID_IMAGES,
    masked = 0.5,
    lora = true,
    behind,
  } = options;
  const weights = new TrainableWeights();
  const id = new Weights(weights.part("id_encoder."));
  const frozen = (name: string) => new Checkpoint(withoutPrefix(base, `${name}.`), name);
  const diffusion = diffusionInputs(latentDims(batch), SCHEDULER_CONFIG.prediction_type);
  const { context, pooled } = textEncoders(batch, [frozen("text_encoder"), frozen("text_encoder_2")]);

  const { images, slots } = SIZES[embedding];
  const features = input("idFeatures", [batch * images, VISION_WIDTH]);
  const places = input("places", [batch, POSITIONS, slots]); // 1 where an ID token takes a position of the prompt
  const projected = projectId(features, id, PROJECTIONS);
  const tokens =
    embedding === "linear" ? linearToken(reshape(projected, [batch, images, fixedSize(projected, -1)]), id) : projected;
  const stacked = stackTokens(context, places, tokens, id.at("fuse_module"));
  const keep = input("keep", [batch, 1]);
  const output = miniUNet(diffusion.noisy, diffusion.timestep, { context: stacked, pooled, keep }, frozen("unet"));
  const [adapted] = lora ? rewrite([output], trainableLora(weights.part("unet."), LORA_RANK, TRANSFORMER_LAYERS)) : [output];
  const { loss, plain } = diffusionLoss(adapted!, diffusion);
  const tokenizer = miniTokenizer();
  const usual = usualRun(data, { steps, batch, seed });
  return {
    name: "adapter",
    weights,
    loss,
    metrics: { plain },
    batch: ({ step, worker }) =>
      adapterBatch(data, { ...options, embedding, idImages, masked }, tokenizer, seededRandom(seed, step, worker)),
    groups: [
      { match: (name) => /norm|bias/.test(name), learningRate: 2e-3 },
      { match: () => true, learningRate: 2e-3, weightDecay: 0.01 },
    ],
    rate: { kind: "cosine", warmUp: 100, flat: 0.3 },
    ...usual,
    config: { ...usual.config, embedding, idImages, masked, lora, ...(behind && { behind }) },
  };
}

function adapterBatch(
  data: LatentSet,
  {
    batch,
    features,
    variants,
    behind,
    embedding,
    idImages,
    masked,
  }: AdapterOptions & { readonly embedding: Embedding; readonly idImages: number; readonly masked: number },
  tokenizer: Tokenizer,
  random: Random,
): Record<string, NdArray> {
  const window = { length: POSITIONS, pad: tokenizer.pad };
  const chosen = Array.from({ length: batch }, () => random.integer(data.scenes.length));
  const { images: most, slots } = SIZES[embedding];
  const idFeatures = new Float32Array(batch * most * VISION_WIDTH);
  const places = new Float32Array(batch * POSITIONS * slots);
  const seen = [...variants.keys()].filter((i) => behind === undefined || variants[i] === behind);
  const texts: (readonly number[])[] = [];
  for (const [row, index] of chosen.entries()) {
    const person = Math.floor(index / PICTURES);
    const album = random.shuffle(Array.from({ length: ALBUM }, (_, i) => i).filter((i) => i !== index % PICTURES));
    const images = album.slice(0, 1 + random.integer(Math.min(idImages, album.length)));
    const vectors = images.map((i) => {
      const at = ((person * ALBUM + i) * variants.length + random.pick(seen)) * VISION_WIDTH;
      return features.subarray(at, at + VISION_WIDTH);
    });
    // the projection is linear, so the mean of features gives the mean of tokens
    const shown = embedding === "average" ? [mean(vectors)] : vectors;
    const tokens = embedding === "linear" ? inTurn(shown.length).map((i) => shown[i]!) : shown;
    const scene = data.scenes[index]!;
    const caption = captionOf(data.persons[person]!, scene, random, { identity: 0 });
    const word = classWordAt(data.persons[person]!, scene);
    const prompt = caption.replace(new RegExp(`\\b${word}\\b`), `${word} ${TRIGGER}`);
    const { ids, classPositions } = expandTrigger(tokenizer, prompt, {
      trigger: TRIGGER,
      repeats: Math.min(slots, shown.length),
      window,
      everyToken: true,
    });
    texts.push(ids);
    for (const [n, vector] of tokens.entries()) idFeatures.set(vector, (row * most + n) * VISION_WIDTH);
    for (const [n, place] of classPositions.entries()) places[(row * POSITIONS + place) * slots + n] = 1;
  }
  const weight = chosen.map((index) => (random.chance(masked) ? onlyPerson(data, index) : latentWeights(data, index)));
  return {
    ...latentFeeds(data, chosen, weight, random, TIMESTEP_POWER),
    ...textFeeds(texts, tokenizer.end, random),
    idFeatures: floats(idFeatures, batch * most, VISION_WIDTH),
    places: floats(places, batch, POSITIONS, slots),
  };
}

/** Loss weights of the person alone, at mean 1. */
function onlyPerson(data: LatentSet, index: number): Float32Array {
  const weights = latentWeights(data, index);
  const mask = latentMask(data, index).map((m, i) => m * weights[i]!);
  const sum = mask.reduce((a, b) => a + b, 0);
  return mask.map((m) => (m * mask.length) / sum);
}

function mean(vectors: readonly Float32Array[]): Float32Array {
  return vectors[0]!.map((_, i) => vectors.reduce((sum, v) => sum + v[i]!, 0) / vectors.length);
}
