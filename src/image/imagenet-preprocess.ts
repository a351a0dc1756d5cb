import { resize } from "./resize.ts";
import type { Rgb8 } from "./rgb8.ts";

const MEAN = [0.485, 0.456, 0.406] as const;
const STD = [0.229, 0.224, 0.225] as const;

/**
 * Preprocesses a picture as DINO's authors do for evaluation: shorter side to 8/7 of `side` (256 for 224) by bicubic, centre crop, normalised by ImageNet's
 * mean and deviation. The processor that lies beside the weights on the hub squeezes the picture into a square instead, which gives other features.
 * @returns [3, side, side]
 * @see facebookresearch/dino eval_knn.py: transforms.Resize(256, interpolation=3), CenterCrop(224)
 */
export function imagenetPreprocess(photo: Rgb8, side = 224): Float32Array {
  const short = Math.floor((side * 256) / 224);
  const long = (length: number, shorter: number): number => Math.trunc((short * length) / shorter);
  const upright = photo.width <= photo.height;
  const width = upright ? short : long(photo.width, photo.height);
  const height = upright ? long(photo.height, photo.width) : short;
  const crop = { left: evenHalf(width - side), top: evenHalf(height - side), width: side, height: side };
  return imagenetNormalise(resize(photo, width, height, "bicubic", crop));
}

/** Normalises a picture that has the network's size already: [3, height, width]. */
export function imagenetNormalise({ data, width, height }: Rgb8): Float32Array {
  const area = width * height;
  const out = new Float32Array(3 * area);
  for (const channel of [0, 1, 2] as const)
    for (let i = 0; i < area; i++) out[channel * area + i] = (data[i * 3 + channel]! / 255 - MEAN[channel]) / STD[channel];
  return out;
}

/** Half of a whole number, rounded to the even neighbour as Python does. */
function evenHalf(value: number): number {
  const half = Math.floor(value / 2);
  return value % 2 !== 0 && half % 2 !== 0 ? half + 1 : half;
}
