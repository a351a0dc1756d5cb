import { floats, type NdArray } from "../core/array.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { grad } from "../graph/grad.ts";
import { detach } from "../graph/ops/detach.ts";
import { abs, add, div, mul, relu, sqrt, sub } from "../graph/ops/elementwise.ts";
import { concat, reduceSum, slice } from "../graph/ops/layout.ts";
import { reduceMean } from "../graph/ops/reduce.ts";
import { averagePool } from "../graph/ops/resample.ts";
import { input } from "../graph/ops/source.ts";
import { fixedSize, type Tensor } from "../graph/tensor.ts";
import { Weights } from "../graph/weights.ts";
import { sharpDecode } from "../models/sharp-decoder.ts";
import { vaeDecode } from "../models/vae.ts";
import { vaeConfig } from "../models/vae-config.ts";
import type { TrainingTask } from "../train/run.ts";
import { TrainableWeights } from "../train/trainable-weights.ts";
import type { Tensors } from "../weights/index.ts";
import { patchJudge } from "./adversary.ts";
import { LATENT_SIZE, latentDims } from "./base-task.ts";
import { SHARP_CONFIG, SHARP_SIDE, VAE_CONFIG } from "./configs.ts";
import { pictureValues } from "./data-set.ts";
import type { Importance } from "./importance.ts";
import { type SharpSet, sharpImportance } from "./sharp-data.ts";
import type { TaskOptions } from "./vae-task.ts";

/** Names of the trained decoder's weights begin with it; the adversary's, which are not kept, with another. */
export const SHARP_PREFIX = "sharp.";

export interface SharpOptions extends TaskOptions {
  /** The finished autoencoder, which is frozen. */
  readonly vae: Tensors;
  readonly scalingFactor: number;
  /** Latents in the denoiser's scale, [count, LATENT_SIZE] each: the encoder's, denoised once, and by some steps, whose row i is of picture i; and generated ones, which have no target. */
  readonly latents: Readonly<Record<"encoded" | "once" | "some" | "generated", Float32Array>>;
}

const IMPORTANCE: Importance = { person: 0.7, face: 0.8, eyes: 2 };
/** Error of latents, root mean square, at which their target counts half. */
const TRUSTED = 0.35;
const ADVERSARY = 0.5;
const MATCHING = 0.6;
/** Shares of the run after which the adversary trains, begins to count in the picture, and counts fully. */
const [TRAINS, COUNTS, FULLY] = [0.07, 0.12, 0.22];
/** Keeps the adversary's gradients from counting in the norm that the decoder's are clipped by. */
const SMALL = 0.05;

/**
 * Task of the sharp decoder: errors of pixels and edges against drawn pictures of twice the size, and an adversary (Goodfellow et al. 2014, hinge loss
 * of Lim and Ye 2017, arXiv 1705.02894) with feature matching (Wang et al. 2017, arXiv 1711.11585). Decoder and adversary are updated together. The parts are weighed
 * by their gradients at the picture, as in Esser et al. 2020 (arXiv 2012.09841), equation 7. A quarter of the latents are generated ones: these have no target, and only their
 * blocks' means are held to what the VAE decodes.
 */
export function sharpTask(data: SharpSet, options: SharpOptions): TrainingTask {
  const { steps, batch, seed, vae, scalingFactor, latents } = options;
  if (batch % 4 !== 0) throw new TypeError(`a batch of ${batch} has no quarter without target`);
  const known = (batch * 3) / 4;
  const weights = new TrainableWeights();
  const z = input("latents", latentDims(batch));
  const unscaled = mul(z, 1 / scalingFactor);
  const decoded = vaeDecode(unscaled, new Weights(new Checkpoint(vae, "vae")), vaeConfig(VAE_CONFIG, new Map()));
  const picture = sharpDecode(unscaled, decoded, new Weights(weights.part(SHARP_PREFIX)), SHARP_CONFIG);
  // every loss is taken of a picture that no gradient leaves; what they ask of it is then handed to the decoder in one
  const made = detach(picture);
  const [seen, free] = [slice(made, 0, 0, known), slice(made, 0, known, batch - known)];
  const side = [SHARP_SIDE, SHARP_SIDE] as const;
  const target = input("targets", [known, 3, ...side]);
  const trust = input("trust", [known, 1, 1, 1]);
  const weight = mul(input("weight", [known, 1, ...side]), trust);
  const d = sub(seen, target);
  const pixels = reduceMean(mul(weight, add(abs(d), mul(mul(d, d), 5))));
  const edge = edgeError(d, trust);
  const held = heldLoss(free, slice(decoded, 0, known, batch - known));
  const plain = add(add(pixels, mul(edge, 5)), mul(held, 0.35));

  const judge = new Weights(weights.part("adversary."));
  const real = patchJudge(concat([target, input("others", [batch - known, 3, ...side])], 0), judge);
  const fake = patchJudge(made, judge);
  const fooled = mul(reduceMean(fake.scores), -1);
  const matching = matchingLoss(fake.features, real.features, trust, known);
  const told = add(reduceMean(relu(sub(1, real.scores))), reduceMean(relu(add(fake.scores, 1))));

  const [counts, trains] = [input("counts", []), input("trains", [])];
  const [wanted, lure, match] = [plain, fooled, matching].map((loss) => grad(loss, [made])[0]!) as [Tensor, Tensor, Tensor];
  const length = (x: Tensor): Tensor => sqrt(add(sumOfSquares(slice(x, 0, 0, known)), 1e-20));
  const share = (x: Tensor, most: number): Tensor => mul(x, mul(counts, div(mul(length(wanted), most), length(x))));
  const whole = detach(add(wanted, add(share(lure, ADVERSARY), share(match, MATCHING))));
  const handed = reduceSum(mul(whole, picture));
  const learnt = mul(told, mul(trains, SMALL));
  return {
    name: "sharp",
    weights,
    loss: add(add(sub(handed, detach(handed)), detach(plain)), sub(learnt, detach(learnt))),
    metrics: { pixels, edge, held, matching, told, fooled },
    batch: ({ step, worker }) => ({
      ...sharpBatch(data, latents, { batch, known, seed, step, worker }),
      counts: floats(Float32Array.of(rise(step / steps, COUNTS, FULLY)), ...[]),
      trains: floats(Float32Array.of(step / steps < TRAINS ? 0 : 1), ...[]),
    }),
    groups: [
      { match: (name) => name.startsWith(SHARP_PREFIX), learningRate: 1.5e-3 },
      { match: () => true, learningRate: 8e-4, beta1: 0.5 },
    ],
    rate: { kind: "cosine", warmUp: 50, flat: 0.4 },
    steps,
    seed,
    config: { batch, people: data.people, data: data.seed },
    beta2: 0.99,
    clip: 1,
    emaDecay: 0.995,
  };
}

const rise = (at: number, from: number, to: number): number => Math.min(1, Math.max(0, (at - from) / (to - from)));
const sumOfSquares = (x: Tensor): Tensor => reduceSum(mul(x, x));

/** Squared differences of neighbours' errors, down and across. */
function edgeError(d: Tensor, trust: Tensor): Tensor {
  const along = (axis: number): Tensor => {
    const n = fixedSize(d, axis) - 1;
    const step = sub(slice(d, axis, 1, n), slice(d, axis, 0, n));
    return reduceMean(mul(mul(step, step), trust));
  };
  return add(along(2), along(3));
}

/** Holds the means of blocks to the picture that the VAE decodes. @param small of half the size */
function heldLoss(picture: Tensor, small: Tensor): Tensor {
  const half = averagePool(picture, 2);
  const coarse = sub(averagePool(half, 2), averagePool(small, 2));
  return add(reduceMean(abs(coarse)), mul(reduceMean(abs(sub(half, small))), 0.3));
}

/** Differences of the adversary's features, each as a share of the drawn pictures' mean size. */
function matchingLoss(fake: readonly Tensor[], real: readonly Tensor[], trust: Tensor, known: number): Tensor {
  const parts = fake.map((made, i) => {
    const drawn = detach(slice(real[i]!, 0, 0, known));
    const difference = reduceMean(mul(abs(sub(slice(made, 0, 0, known), drawn)), trust));
    return div(difference, detach(reduceMean(abs(real[i]!))));
  });
  return mul(parts.reduce(add), 1 / parts.length);
}

interface At {
  readonly batch: number;
  /** Latents with a target. */
  readonly known: number;
  readonly seed: number;
  readonly step: number;
  readonly worker: number;
}

function sharpBatch(
  data: SharpSet,
  { encoded, once, some, generated }: SharpOptions["latents"],
  { batch, known, seed, step, worker }: At,
): Record<string, NdArray> {
  const random = seededRandom(seed, step, worker);
  const large = { pictures: data.large };
  const rows = (of: Float32Array): number => of.length / LATENT_SIZE;
  const z = new Float32Array(batch * LATENT_SIZE);
  const area = SHARP_SIDE * SHARP_SIDE;
  const targets = new Float32Array(known * 3 * area);
  const others = new Float32Array((batch - known) * 3 * area);
  const weight = new Float32Array(known * area);
  const trust = new Float32Array(known);
  for (let i = 0; i < batch; i++) {
    // in turn the encoder's, denoised once, and the encoder's or denoised by some steps; then generated ones
    const kind = i >= known ? generated : i % 3 === 1 ? once : i % 3 === 2 && step % 2 === 1 ? some : encoded;
    const index = random.integer(rows(kind));
    const own = kind.subarray(index * LATENT_SIZE, (index + 1) * LATENT_SIZE);
    z.set(own, i * LATENT_SIZE);
    if (i >= known) {
      pictureValues(large, random.integer(data.scenes.length), others, (i - known) * 3 * area, SHARP_SIDE);
      continue;
    }
    const truth = encoded.subarray(index * LATENT_SIZE, (index + 1) * LATENT_SIZE);
    trust[i] = 1 / (1 + meanSquare(own, truth) / TRUSTED ** 2);
    pictureValues(large, index, targets, i * 3 * area, SHARP_SIDE);
    weight.set(sharpImportance(data, index, IMPORTANCE), i * area);
  }
  return {
    latents: floats(z, ...latentDims(batch)),
    targets: floats(targets, known, 3, SHARP_SIDE, SHARP_SIDE),
    others: floats(others, batch - known, 3, SHARP_SIDE, SHARP_SIDE),
    weight: floats(weight, known, 1, SHARP_SIDE, SHARP_SIDE),
    trust: floats(trust, known, 1, 1, 1),
  };
}

function meanSquare(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum / a.length;
}
