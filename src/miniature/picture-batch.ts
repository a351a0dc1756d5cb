import { floats, type NdArray } from "../core/array.ts";
import { SIDE } from "./configs.ts";
import { type DataSet, pictureValues } from "./data-set.ts";
import { type Importance, importanceMap } from "./importance.ts";

/**
 * A batch of the autoencoder's inputs, and the loss weight of each pixel.
 * @returns `pictures` [N, 3, SIDE, SIDE] in [-1, 1], `weight` [N, 1, SIDE, SIDE]
 */
export function pictureBatch(
  data: DataSet,
  chosen: readonly number[],
  importance: Importance,
): Readonly<Record<"pictures" | "weight", NdArray>> {
  const area = SIDE * SIDE;
  const pictures = new Float32Array(chosen.length * 3 * area);
  const weight = new Float32Array(chosen.length * area);
  for (const [row, index] of chosen.entries()) {
    pictureValues(data, index, pictures, row * 3 * area);
    const mask = Float32Array.from(data.masks.subarray(index * area, (index + 1) * area), (m) => m / 255);
    weight.set(importanceMap(data, index, mask, SIDE, importance), row * area);
  }
  return {
    pictures: floats(pictures, chosen.length, 3, SIDE, SIDE),
    weight: floats(weight, chosen.length, 1, SIDE, SIDE),
  };
}
