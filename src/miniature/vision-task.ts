import { floats } from "../core/array.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { add, mul } from "../graph/ops/elementwise.ts";
import { slice } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import { clipNormalise } from "../image/index.ts";
import { IDENTITY_NUMBERS, identityVector } from "../minifaces/index.ts";
import { type ClipVisionConfig, clipVision, pooledVision } from "../models/clip-vision.ts";
import { linear } from "../nn/layers.ts";
import { classification, contrastive, squaredError, unitRows } from "../train/losses.ts";
import type { TrainingTask } from "../train/run.ts";
import { TrainableWeights } from "../train/trainable-weights.ts";
import { IDENTITY_ATTRIBUTES, identityHot } from "./attributes.ts";
import { SIDE, VISION_CONFIG } from "./configs.ts";
import { ALBUM, type Behind, type DataSet, idImage } from "./data-set.ts";
import { usualRun } from "./usual-run.ts";
import type { TaskOptions } from "./vae-task.ts";

export const VISION: ClipVisionConfig = {
  width: VISION_CONFIG.hidden_size,
  patch: VISION_CONFIG.patch_size,
  image: SIDE,
  layers: VISION_CONFIG.num_hidden_layers,
  heads: VISION_CONFIG.num_attention_heads,
  mlp: VISION_CONFIG.intermediate_size,
  activation: VISION_CONFIG.hidden_act,
  eps: VISION_CONFIG.layer_norm_eps,
};

const EMBEDDING = 64;
/** Backgrounds that stand in for the variety of users' photos: see {@link idImage}. */
const BEHIND: readonly Behind[] = ["noise", "noise", "scene", "scene", "plain"];

/**
 * Task that pre-trains the ID encoder's vision transformer, where PhotoMaker starts from CLIP. It matches two ID images of one person among those of
 * other people, and predicts the person's continuous features and attributes. The features weigh much, because matching alone teaches
 * only easy ones, such as colours.
 * @param batch people per batch, each with two pictures
 */
export function visionTask(data: DataSet, { steps, batch, seed }: TaskOptions): TrainingTask {
  const weights = new TrainableWeights();
  const w = new Weights(weights);
  const images = batch * 2;
  const pixels = input("pixels", [images, 3, SIDE, SIDE]);
  const numbers = input("numbers", [images, IDENTITY_NUMBERS.length]);
  const classes = input("classes", [images, IDENTITY_ATTRIBUTES.width]);
  const vision = w.at("vision_model");
  const pooled = pooledVision(clipVision(pixels, vision, VISION), vision, VISION);
  const heads = w.at("heads");
  const embeddings = unitRows(linear(pooled, heads.at("embedding"), { out: EMBEDDING }));
  const scale = heads.get("log_scale", [1], "ones");
  const nce = contrastive(slice(embeddings, 0, 0, batch), slice(embeddings, 0, batch, batch), add(scale, 1.5));
  const regression = squaredError(linear(pooled, heads.at("numbers"), { out: IDENTITY_NUMBERS.length }), numbers);
  const logits = linear(pooled, heads.at("classes"), { out: IDENTITY_ATTRIBUTES.width });
  const kinds = classification(logits, classes, IDENTITY_ATTRIBUTES.sizes);
  const part = (name: string) => kinds.parts[IDENTITY_ATTRIBUTES.names.indexOf(name)]!;
  return {
    name: "vision",
    weights,
    loss: add(add(mul(nce, 0.25), mul(regression, 3)), mul(kinds.loss, 2)),
    metrics: { nce, regression, classes: kinds.loss, hairStyle: part("hairStyle"), eyeColour: part("eyeColour") },
    batch: ({ step, worker }) => visionBatch(data, batch, [seed, step, worker]),
    groups: [
      { match: (name) => /norm|bias|embedding|log_scale/.test(name), learningRate: 1e-3 },
      { match: () => true, learningRate: 1e-3, weightDecay: 0.05 },
    ],
    rate: { kind: "cosine", warmUp: 200, flat: 0.2 },
    ...usualRun(data, { steps, batch, seed }),
    beta2: 0.98,
  };
}

function visionBatch(data: DataSet, batch: number, key: readonly number[]) {
  const random = seededRandom(...key);
  const images = batch * 2;
  const size = 3 * SIDE * SIDE;
  const pixels = new Float32Array(images * size);
  const numbers = new Float32Array(images * IDENTITY_NUMBERS.length);
  const classes = new Float32Array(images * IDENTITY_ATTRIBUTES.width);
  for (let i = 0; i < batch; i++) {
    const person = random.integer(data.people);
    const first = random.integer(ALBUM);
    const second = (first + 1 + random.integer(ALBUM - 1)) % ALBUM;
    for (const [half, album] of [first, second].entries()) {
      const row = half * batch + i;
      const rgb = idImage(data, person, album, random.pick(BEHIND), random.integer(2 ** 30));
      pixels.set(variedIdPixels(rgb, random), row * size);
      numbers.set(identityVector(data.persons[person]!), row * IDENTITY_NUMBERS.length);
      classes.set(identityHot(data.persons[person]!), row * IDENTITY_ATTRIBUTES.width);
    }
  }
  return {
    pixels: floats(pixels, images, 3, SIDE, SIDE),
    numbers: floats(numbers, images, IDENTITY_NUMBERS.length),
    classes: floats(classes, images, IDENTITY_ATTRIBUTES.width),
  };
}

/** Converts an ID image to the encoder's input, [3, SIDE, SIDE]; with `random`, shifts, scales and relights it slightly. */
export function variedIdPixels(rgb: Uint8Array, random?: { uniform(low?: number, high?: number): number }): Float32Array {
  if (random === undefined) return clipNormalise({ data: rgb, width: SIDE, height: SIDE });
  const light = random.uniform(0.88, 1.12);
  const scale = random.uniform(0.86, 1.12);
  const [dx, dy] = [random.uniform(-5, 5), random.uniform(-5, 5)];
  const moved = new Uint8Array(rgb.length);
  const middle = (SIDE - 1) / 2;
  const inside = (v: number): number => Math.min(SIDE - 1.001, Math.max(0, v));
  for (let y = 0; y < SIDE; y++) {
    const v = inside((y - middle) / scale + middle + dy);
    const [top, fy] = [Math.floor(v), v % 1];
    for (let x = 0; x < SIDE; x++) {
      const u = inside((x - middle) / scale + middle + dx);
      const [left, fx] = [Math.floor(u), u % 1];
      for (let c = 0; c < 3; c++) {
        const at = (top * SIDE + left) * 3 + c;
        const upper = rgb[at]! * (1 - fx) + rgb[at + 3]! * fx;
        const lower = rgb[at + SIDE * 3]! * (1 - fx) + rgb[at + SIDE * 3 + 3]! * fx;
        moved[(y * SIDE + x) * 3 + c] = Math.min(255, Math.round((upper * (1 - fy) + lower * fy) * light));
      }
    }
  }
  return clipNormalise({ data: moved, width: SIDE, height: SIDE });
}
