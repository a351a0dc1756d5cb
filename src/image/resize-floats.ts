import { exactTaps, type ResizeFilter, rowsComeFirst } from "./resize.ts";
import type { Rgb8 } from "./rgb8.ts";

/**
 * Resizes a picture channel by channel in floating point, antialiased, as Pillow does with pictures of mode F, and cuts the values to 0 … 255 without
 * rounding: "clean" resizing, Parmar et al. 2022 (arXiv 2104.11222).
 * @returns [3, height, width]
 * @see Pillow 13.0.0 src/libImaging/Resample.c ImagingResampleHorizontal_32bpc
 */
export function resizeFloats(photo: Rgb8, width: number, height: number, filter: ResizeFilter): Float32Array {
  const across = exactTaps(photo.width, width, filter);
  const down = exactTaps(photo.height, height, filter);
  const out = new Float32Array(3 * width * height);
  const first = rowsComeFirst(photo, width, height);
  for (let channel = 0; channel < 3; channel++) {
    const plane = Float32Array.from({ length: photo.width * photo.height }, (_, i) => photo.data[i * 3 + channel]!);
    const whole = { data: plane, width: photo.width, height: photo.height };
    const done = first ? resizeDown(resizeAcross(whole, across), down) : resizeAcross(resizeDown(whole, down), across);
    for (let i = 0; i < done.data.length; i++) out[channel * width * height + i] = Math.min(255, Math.max(0, done.data[i]!));
  }
  return out;
}

interface Plane {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}
type ExactTaps = ReturnType<typeof exactTaps>;

function resizeAcross({ data, width, height }: Plane, { starts, counts, weights, most }: ExactTaps): Plane {
  const outputs = starts.length;
  const out = new Float32Array(height * outputs);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < outputs; x++) {
      const from = y * width + starts[x]!;
      let sum = 0;
      for (let k = 0; k < counts[x]!; k++) sum += data[from + k]! * weights[x * most + k]!;
      out[y * outputs + x] = sum;
    }
  return { data: out, width: outputs, height };
}

function resizeDown({ data, width }: Plane, { starts, counts, weights, most }: ExactTaps): Plane {
  const out = new Float32Array(starts.length * width);
  const sums = new Float64Array(width);
  for (let y = 0; y < starts.length; y++) {
    sums.fill(0);
    for (let k = 0; k < counts[y]!; k++) {
      const from = (starts[y]! + k) * width;
      const weight = weights[y * most + k]!;
      for (let x = 0; x < width; x++) sums[x] = sums[x]! + data[from + x]! * weight;
    }
    out.set(sums, y * width);
  }
  return { data: out, width, height: starts.length };
}
