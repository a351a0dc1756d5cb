import { floats } from "../core/array.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { centreOf, heightOf, sideOf, widthOf } from "../faces/geometry.ts";
import { networkPixels } from "../faces/networks/network-pixels.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { abs, add, div, log, mul, sub } from "../graph/ops/elementwise.ts";
import { concat, reduceSum } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import { Weights } from "../graph/weights.ts";
import { YUNET_STRIDES, type YunetOutput, yunet } from "../models/faces/yunet.ts";
import type { TrainingTask } from "../train/run.ts";
import { TrainableWeights } from "../train/trainable-weights.ts";
import type { Tensors } from "../weights/index.ts";
import { TRAINING_SEED } from "./data-set.ts";
import { CANVAS, canvasOfFaces, type FaceTruth, type PictureOfFaces } from "./faces-data.ts";
import type { TaskOptions } from "./vae-task.ts";

/** Layers that stay those of real photos: edges and colours are the same in drawings, and these layers take most of the time. */
const FROZEN = /^backbone\.model[01]\./;
/** Longest side of a face, in pixels, that a stride looks for; the last one looks for what is larger. */
const LONGEST = [36, 96, Number.POSITIVE_INFINITY];
/** Places within this share of the face's side from its middle are to find it; up to twice as far away nothing is asked of them. */
const MIDDLE = 0.22;
/** A face by this factor beyond the sizes of a stride may be found by it as well. */
const NEARLY = 1.25;
/** Samples that are drawn; each is seen several times. */
const CANVASES = 1000;
const BOXES = 2;
const POINTS = 1;

/**
 * Task of the miniature's face detector: YuNet, begun at the shipped weights. A place in the middle of a face says that it sees one, where its box is
 * and its five points; all other places that they see none. Distances are in sides of the face.
 * @param detector the shipped weights
 */
export function facesTask({ steps, batch, seed, detector }: TaskOptions & { readonly detector: Tensors }): TrainingTask {
  const weights = new TrainableWeights();
  const fixed = new Checkpoint(detector, "yunet");
  const found = yunet(
    input("pictures", [batch, 3, CANVAS, CANVAS]),
    new Weights({ param: (path, shape, init) => (FROZEN.test(path) ? fixed : weights).param(path, shape, init) }),
  );
  const head = (name: string): Tensor =>
    concat(
      YUNET_STRIDES.map((stride) => found[`${name}_${stride}` as YunetOutput]),
      1,
    );
  const target = (name: string, width: number): Tensor => input(name, [batch, PLACES, width]);
  const [seen, asked, scale] = [target("seen", 1), target("asked", 1), target("scale", 1)];
  const count = add(reduceSum(seen), 1);
  const certainty = (name: string, where: Tensor): Tensor => div(reduceSum(mul(where, binary(head(name), seen))), count);
  const distance = (name: string, width: number): Tensor =>
    mul(reduceSum(mul(abs(sub(head(name), target(name, width))), scale)), 1 / width);
  const [cls, obj] = [certainty("cls", seen), certainty("obj", asked)]; // as in YuNet's own training
  const box = div(distance("bbox", 4), count);
  const points = div(distance("kps", 10), count);
  const drawn = new Map<number, Promise<PictureOfFaces>>();
  const canvas = (key: number): Promise<PictureOfFaces> => {
    const known = drawn.get(key) ?? canvasOfFaces(key);
    drawn.set(key, known);
    return known;
  };
  return {
    name: "faces",
    weights,
    loss: add(add(cls, obj), add(mul(box, BOXES), mul(points, POINTS))),
    metrics: { cls, obj, box, points },
    batch: async ({ step, worker }) => {
      const random = seededRandom(seed, step, worker);
      const samples = await Promise.all(Array.from({ length: batch }, () => canvas(random.integer(CANVASES))));
      return batchOf(samples);
    },
    groups: [{ match: () => true, learningRate: 1e-3 }],
    rate: { kind: "cosine", warmUp: 30, flat: 0.3 },
    from: detector,
    steps,
    seed,
    config: { batch, data: TRAINING_SEED },
    beta2: 0.99,
    clip: 5,
    emaDecay: 0.99,
  };
}

/** Cross-entropy of certainties in [0, 1]. */
const binary = (x: Tensor, y: Tensor): Tensor => mul(add(mul(y, log(add(x, TINY))), mul(sub(1, y), log(sub(1 + TINY, x)))), -1);
const TINY = 1e-6;

const PLACES = YUNET_STRIDES.reduce((sum, stride) => sum + (CANVAS / stride) ** 2, 0);

function batchOf(samples: readonly PictureOfFaces[]) {
  const batch = samples.length;
  const area = 3 * CANVAS * CANVAS;
  const pictures = new Float32Array(batch * area);
  for (const [n, { picture }] of samples.entries()) pictures.set(networkPixels(picture, { order: "bgr" }).data, n * area);
  const rows = Object.entries(targetsOf(samples));
  return {
    pictures: floats(pictures, batch, 3, CANVAS, CANVAS),
    ...Object.fromEntries(rows.map(([name, values]) => [name, floats(values, batch, PLACES, values.length / (batch * PLACES))])),
  };
}

/**
 * What every place of every stride is to say of samples, [samples, PLACES, n] each: whether it sees a face, whether that is asked of it, the weight of
 * distances, the box and the points.
 */
export function targetsOf(samples: readonly PictureOfFaces[]): Targets {
  const row = (width: number): Float32Array => new Float32Array(samples.length * PLACES * width);
  const out = { seen: row(1), asked: row(1), scale: row(1), bbox: row(4), kps: row(10) };
  for (const [n, { faces }] of samples.entries()) {
    let at = n * PLACES;
    for (const [level, stride] of YUNET_STRIDES.entries())
      for (let y = 0; y < CANVAS; y += stride)
        for (let x = 0; x < CANVAS; x += stride) tell(out, at++, faces, x, y, stride, level);
  }
  return out;
}

type Targets = Readonly<Record<"seen" | "asked" | "scale" | "bbox" | "kps", Float32Array>>;

/** Writes what the place at (x, y) is to say. */
function tell(out: Targets, at: number, faces: readonly FaceTruth[], x: number, y: number, stride: number, level: number): void {
  out.asked[at] = 1;
  for (const { box, points } of faces) {
    const side = sideOf(box);
    const [cx, cy] = centreOf(box);
    const away = Math.max(Math.abs(x - cx), Math.abs(y - cy));
    const reach = Math.max(MIDDLE * side, 0.6 * stride);
    const [least, most] = [level === 0 ? 0 : LONGEST[level - 1]!, LONGEST[level]!];
    const own = side > least && side <= most;
    if (own && away <= reach) {
      out.seen[at] = 1;
      out.asked[at] = 1;
      out.scale[at] = stride / side;
      out.bbox.set(
        [(cx - x) / stride, (cy - y) / stride, Math.log(widthOf(box) / stride), Math.log(heightOf(box) / stride)],
        at * 4,
      );
      out.kps.set(
        points.flatMap(([u, v]) => [(u - x) / stride, (v - y) / stride]),
        at * 10,
      );
      return;
    }
    // finer places must learn that an eye is no face
    if (own ? away <= 2 * reach : away <= reach && side > least / NEARLY && side <= most * NEARLY) out.asked[at] = 0;
  }
}
