import { floats, integers } from "../../core/array.ts";
import { type Random, seededRandom } from "../../core/random/seeded-random.ts";
import { decodePhoto } from "../../image/index.ts";
import type { ClipTextModelConfig } from "../../models/clip-text-config.ts";
import type { Feeds } from "../../runtime/runtime.ts";
import type { Reader } from "../../sessions/text/prompts.ts";
import { endOf } from "../../sessions/text/text-stage.ts";
import { expandTrigger } from "../../text/trigger.ts";
import { encodePlain } from "../../text/window.ts";
import { minSnrWeight, noiseFeeds, type Prediction } from "../diffusion.ts";
import { cropOf, maskedIdPixels, maskWeights } from "../photos/frame.ts";
import type { TrainingPerson, TrainingPhoto } from "../photos/training-photos.ts";
import type { AdapterConfig } from "./config.ts";
import type { PhotoLatents } from "./latents.ts";

export interface BatchSource {
  readonly config: AdapterConfig;
  readonly people: readonly TrainingPerson[];
  readonly latents: PhotoLatents;
  readonly readers: readonly [Reader, Reader];
  readonly text: readonly [ClipTextModelConfig, ClipTextModelConfig];
  /** Whether dropped text is zeros for the denoiser, rather than an empty prompt's embedding. */
  readonly emptyPromptIsZeros: boolean;
  readonly prediction: Prediction;
  readonly alphasCumprod: Float32Array;
  /** Side of the ID encoder's input, pixels. */
  readonly image: number;
}

/** One sample: a target picture, and ID images of the same person. */
interface Sample {
  readonly photo: TrainingPhoto;
  readonly ids: readonly TrainingPhoto[];
  readonly textless: boolean;
  readonly masked: boolean;
  /** Source of the noise in its ID images. */
  readonly random: Random;
}

/** A worker's batch at a step. It depends on the arguments alone. */
export async function adapterBatch(
  source: BatchSource,
  at: { readonly step: number; readonly worker: number; readonly micro: number },
): Promise<Feeds> {
  const { config, latents, alphasCumprod, prediction } = source;
  const { batch, idImages } = config;
  const step = config.overfitBatches > 0 ? at.step % config.overfitBatches : at.step;
  const key = [config.seed, step, at.worker, at.micro];
  const random = seededRandom(...key);
  const samples = Array.from({ length: batch }, (_, row) => chooseSample(source, random, seededRandom(...key, row)));
  const dims = [batch, latents.channels, latents.side, latents.side] as const;
  const noise = noiseFeeds(random, dims, alphasCumprod);
  const prompts = samples.map((sample) => readPrompt(source, sample));
  const length = prompts[0]!.ids[0]!.length;
  const area = latents.side ** 2;
  const pixelCount = 3 * source.image ** 2;

  const values = new Float32Array(batch * latents.channels * area);
  const weight = new Float32Array(batch * area);
  const pixels = new Float32Array(batch * idImages * pixelCount);
  const places = new Float32Array(batch * length * idImages);
  const timeIds: number[] = [];
  for (const [row, { photo, ids, masked, random: own }] of samples.entries()) {
    values.set(await latents.of(photo), row * latents.channels * area);
    const { top, left } = cropOf(photo, config.resolution);
    timeIds.push(photo.height, photo.width, top, left, config.resolution, config.resolution);
    const person = masked && photo.mask !== undefined;
    const weights = person ? maskWeights(await decodePhoto(photo.mask), latents.side) : new Float32Array(area).fill(1);
    const t = Number(noise.timestep!.data[row]);
    const snr = config.minSnrGamma === null ? 1 : minSnrWeight(alphasCumprod[t]!, config.minSnrGamma, prediction);
    weight.set(
      weights.map((v) => v * snr),
      row * area,
    );
    for (const [n, id] of ids.entries()) {
      const mask = id.mask === undefined ? undefined : await decodePhoto(id.mask);
      pixels.set(maskedIdPixels(await decodePhoto(id.path), mask, source.image, own), (row * idImages + n) * pixelCount);
    }
    for (const [n, place] of prompts[row]!.places.entries()) places[(row * length + place) * idImages + n] = 1;
  }
  const ids = (which: 0 | 1): number[] => prompts.flatMap((prompt) => [...prompt.ids[which]!]);
  const second = source.text[1];
  return {
    ...noise,
    latents: floats(values, ...dims),
    weight: floats(weight, batch, 1, latents.side, latents.side),
    pixels: floats(pixels, batch * idImages, 3, source.image, source.image),
    places: floats(places, batch, length, idImages),
    ids: integers(ids(0), batch, length),
    ids2: integers(ids(1), batch, length),
    endAt: integers(
      prompts.map((prompt) => endOf(prompt.ids[1]!, second)),
      batch,
    ),
    keep: floats(
      Float32Array.from(samples, ({ textless }) => (textless && source.emptyPromptIsZeros ? 0 : 1)),
      batch,
      1,
    ),
    timeIds: floats(Float32Array.from(timeIds), batch, 6),
  };
}

function chooseSample({ people, config }: BatchSource, random: Random, own: Random): Sample {
  const { photos } = random.pick(people);
  const photo = random.pick(photos);
  const others = random.shuffle(photos.filter((each) => each !== photo));
  const ids = others.slice(0, 1 + random.integer(Math.min(config.idImages, others.length)));
  return { photo, ids, textless: random.chance(config.nullText), masked: random.chance(config.maskedLoss), random: own };
}

/** Token ids for both encoders, and the positions of the ID images. */
function readPrompt(
  { readers, config, emptyPromptIsZeros }: BatchSource,
  { photo, ids, textless }: Sample,
): { readonly ids: readonly (readonly number[])[]; readonly places: readonly number[] } {
  if (textless && !emptyPromptIsZeros)
    return { ids: readers.map(({ tokenizer, window }) => encodePlain(tokenizer, "", window, "caption").ids), places: [] };
  const both = readers.map(({ tokenizer, window }) =>
    expandTrigger(tokenizer, photo.prompt, {
      trigger: config.trigger,
      repeats: ids.length,
      window,
      everyToken: false,
      what: `caption of ${photo.path}`,
    }),
  );
  return { ids: both.map((prompt) => prompt.ids), places: both[0]!.classPositions };
}
