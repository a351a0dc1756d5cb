import { floats } from "../core/array.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { silu } from "../graph/ops/activation.ts";
import { add, mul } from "../graph/ops/elementwise.ts";
import { reshape, slice } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import { Weights } from "../graph/weights.ts";
import { IDENTITY_NUMBERS, identityVector } from "../minifaces/index.ts";
import { resnetBlock } from "../models/resnet-block.ts";
import { conv2d, groupNorm, linear } from "../nn/layers.ts";
import { classification, contrastive, squaredError, unitRows } from "../train/losses.ts";
import type { TrainingTask } from "../train/run.ts";
import { TrainableWeights } from "../train/trainable-weights.ts";
import { IDENTITY_ATTRIBUTES, identityHot, SCENE_ATTRIBUTES, sceneHot } from "./attributes.ts";
import { SIDE } from "./configs.ts";
import { type DataSet, PICTURES, pictureValues } from "./data-set.ts";
import { usualRun } from "./usual-run.ts";
import type { TaskOptions } from "./vae-task.ts";

const CHANNELS = [24, 48, 96, 160] as const;
const GROUPS = 8;
const EMBEDDING = 64;
const MARGIN = 0.15;

export interface Judgement {
  /** Embedding of the person: [B, 64] of length 1, similar for the same person in any scene. */
  readonly embedding: Tensor;
  /** The person's continuous features: [B, IDENTITY_NUMBERS] */
  readonly numbers: Tensor;
  /** Logits of the person's and of the scene's attributes. */
  readonly identity: Tensor;
  readonly scene: Tensor;
}

/**
 * Recognises person and scene in pictures [B, 3, SIDE, SIDE] in [-1, 1]. A separate convolutional network that shares nothing with
 * the generator, so that the generator cannot exploit it.
 */
export function judge(pictures: Tensor, w: Weights): Judgement {
  const options = { groups: GROUPS, eps: 1e-5 };
  let x = conv2d(pictures, w.at("conv_in"), { out: CHANNELS[0], kernel: 3, stride: 2, pad: 1 });
  for (const [i, out] of CHANNELS.slice(1).entries()) {
    x = conv2d(x, w.at("down", i), { out, kernel: 3, stride: 2, pad: 1 });
    x = resnetBlock(x, undefined, w.at("block", i), { out, ...options });
  }
  x = silu(groupNorm(x, w.at("norm_out"), options));
  const batch = x.shape[0]!;
  const flat = reshape(x, [batch, CHANNELS.at(-1)! * (SIDE / 2 ** CHANNELS.length) ** 2]);
  const features = silu(linear(flat, w.at("features"), { out: 256 }));
  return {
    embedding: unitRows(linear(features, w.at("embedding"), { out: EMBEDDING })),
    numbers: linear(features, w.at("numbers"), { out: IDENTITY_NUMBERS.length }),
    identity: linear(features, w.at("identity"), { out: IDENTITY_ATTRIBUTES.width }),
    scene: linear(features, w.at("scene"), { out: SCENE_ATTRIBUTES.width }),
  };
}

/** @param batch people per batch, each with two pictures of any style and age */
export function judgeTask(data: DataSet, { steps, batch, seed }: TaskOptions): TrainingTask {
  const weights = new TrainableWeights();
  const w = new Weights(weights);
  const images = batch * 2;
  const found = judge(input("pictures", [images, 3, SIDE, SIDE]), w);
  const scale = w.get("log_scale", [1], "ones");
  const half = (from: number): Tensor => slice(found.embedding, 0, from, batch);
  const nce = contrastive(half(0), half(batch), add(scale, 1.5), MARGIN);
  const numbers = squaredError(found.numbers, input("numbers", [images, IDENTITY_NUMBERS.length]));
  const identity = classification(
    found.identity,
    input("identity", [images, IDENTITY_ATTRIBUTES.width]),
    IDENTITY_ATTRIBUTES.sizes,
  );
  const scene = classification(found.scene, input("scene", [images, SCENE_ATTRIBUTES.width]), SCENE_ATTRIBUTES.sizes);
  return {
    name: "judge",
    weights,
    loss: add(add(nce, numbers), mul(add(identity.loss, scene.loss), 2)),
    metrics: { nce, numbers, identity: identity.loss, scene: scene.loss },
    batch: ({ step, worker }) => {
      const random = seededRandom(seed, step, worker);
      const pictures = new Float32Array(images * 3 * SIDE * SIDE);
      const rows = { numbers: [] as number[], identity: [] as number[], scene: [] as number[] };
      const people = Array.from({ length: batch }, () => random.integer(data.people));
      const first = people.map(() => random.integer(PICTURES));
      const second = first.map((p) => (p + 1 + random.integer(PICTURES - 1)) % PICTURES);
      for (const [i, picture] of [...first, ...second].entries()) {
        const person = people[i % batch]!;
        pictureValues(data, person * PICTURES + picture, pictures, i * 3 * SIDE * SIDE);
        rows.numbers.push(...identityVector(data.persons[person]!));
        rows.identity.push(...identityHot(data.persons[person]!));
        rows.scene.push(...sceneHot(data.scenes[person * PICTURES + picture]!));
      }
      const matrix = (values: readonly number[]) => floats(Float32Array.from(values), images, values.length / images);
      return {
        pictures: floats(pictures, images, 3, SIDE, SIDE),
        numbers: matrix(rows.numbers),
        identity: matrix(rows.identity),
        scene: matrix(rows.scene),
      };
    },
    groups: [
      { match: (name) => /norm|bias|log_scale/.test(name), learningRate: 2e-3 },
      { match: () => true, learningRate: 2e-3, weightDecay: 0.05 },
    ],
    rate: { kind: "cosine", warmUp: 200, flat: 0.3 },
    ...usualRun(data, { steps, batch, seed }),
  };
}
