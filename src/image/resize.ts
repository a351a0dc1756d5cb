import { atOnce, type Steps } from "../core/steps.ts";
import { type Rgb8, rgb8 } from "./rgb8.ts";

interface Filter {
  /** Half of the filter's width, in pixels of the coarser of the two pictures. */
  readonly support: number;
  weight(x: number): number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const FILTERS = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: (x) => cubic(Math.abs(x), -0.5) },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const satisfies Record<string, Filter>;

/** Keys 1981, "Cubic convolution interpolation for digital image processing", eq. 4, with its free parameter `a`. */
function cubic(x: number, a: number): number {
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

export type ResizeFilter = keyof typeof FILTERS;

/** A part of the resized picture, in pixels of the result. */
export interface Crop {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const FRACTION_BITS = 32 - 8 - 2; // 8 bits for the value, 2 for the overshoot of negative lobes
const HALF = 1 << (FRACTION_BITS - 1);

/** Multiply-adds between two yields: some milliseconds. */
const AT_ONCE = 2_000_000;

/**
 * Resizes a picture to `width` x `height`, antialiased, byte for byte as Pillow's `Image.resize` does it for RGB:
 * weights in fixed point, rounded to 8 bits between the two passes. Rows come first unless the height shrinks by more
 * than twice what the width does; until Pillow 12 they always came first, a difference of at most a few levels.
 *
 * @param crop the part that is wanted; the rest is not computed
 * @see Pillow 13.0.0 src/libImaging/Resample.c ImagingResampleInner, precompute_coeffs, normalize_coeffs_8bpc
 */
export function resize(
  photo: Rgb8,
  width: number,
  height: number,
  filter: ResizeFilter,
  crop: Crop = { left: 0, top: 0, width, height },
): Rgb8 {
  return atOnce(resizeInSteps(photo, width, height, filter, crop));
}

/** {@link resize} in steps. */
export function* resizeInSteps(photo: Rgb8, width: number, height: number, filter: ResizeFilter, crop: Crop): Steps<Rgb8> {
  const across = tapsOf(photo.width, width, crop.left, crop.width, filter);
  const down = tapsOf(photo.height, height, crop.top, crop.height, filter);
  const needed = neededRows(photo, down);
  if (rowsComeFirst(photo, width, height)) return yield* resizeColumns(yield* resizeRows(needed, across), down);
  return yield* resizeRows(yield* resizeColumns(needed, down), across);
}

/** Whether rows are resized before columns, as Pillow decides since version 12. */
export function rowsComeFirst(photo: Rgb8, width: number, height: number): boolean {
  const shrinkage = photo.height - height;
  return shrinkage <= 0 || shrinkage <= 2 * (photo.width - width);
}

/** The source rows that `taps` read. Changes the taps' starts, which then count from the first of these rows. */
function neededRows({ width, data }: Rgb8, { starts, counts }: Taps): Rgb8 {
  const first = starts[0]!;
  const end = starts.at(-1)! + counts.at(-1)!;
  for (let i = 0; i < starts.length; i++) starts[i] = starts[i]! - first;
  return rgb8(width, end - first, data.subarray(first * width * 3, end * width * 3));
}

/** For each output position: the first source position, how many are read, and their fixed-point weights. */
interface Taps {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly weights: Int32Array; // [outputs, most]
  readonly most: number;
}

/** {@link exactTaps} in fixed point. */
function tapsOf(from: number, to: number, first: number, outputs: number, filter: ResizeFilter): Taps {
  const exact = exactTaps(from, to, filter, first, outputs);
  return { ...exact, weights: Int32Array.from(exact.weights, toFixed) };
}

/**
 * For each of `outputs` positions from `first` on of a side resized from `from` to `to`: where its source positions start, how many they are, and their
 * weights, whose sum is 1, in rows of `most`.
 */
export function exactTaps(
  from: number,
  to: number,
  filterName: ResizeFilter,
  first = 0,
  outputs = to,
): Omit<Taps, "weights"> & { readonly weights: Float64Array } {
  if (!(first >= 0 && outputs >= 1 && first + outputs <= to))
    throw new TypeError(`positions ${first} to ${first + outputs} of a side resized from ${from} to ${to} do not exist`);
  const filter: Filter = FILTERS[filterName];
  const scale = from / to;
  const spread = Math.max(scale, 1); // when shrinking, the filter widens so that every source pixel counts
  const support = filter.support * spread;
  const most = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(outputs);
  const counts = new Int32Array(outputs);
  const weights = new Float64Array(outputs * most);
  for (let i = 0; i < outputs; i++) {
    const center = (first + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(from, Math.trunc(center + support + 0.5)) - start;
    let sum = 0;
    for (let k = 0; k < count; k++) {
      const weight = filter.weight((start + k - center + 0.5) / spread);
      weights[i * most + k] = weight;
      sum += weight;
    }
    for (let k = 0; k < count; k++) weights[i * most + k] = weights[i * most + k]! / sum;
    starts[i] = start;
    counts[i] = count;
  }
  return { starts, counts, weights, most };
}

/** Converts to fixed point, rounding halves away from zero. */
const toFixed = (x: number): number => Math.trunc(x * 2 ** FRACTION_BITS + (x < 0 ? -0.5 : 0.5));

const toByte = (fixed: number): number => Math.min(255, Math.max(0, fixed >> FRACTION_BITS));

function* resizeRows({ width, height, data }: Rgb8, { starts, counts, weights, most }: Taps): Steps<Rgb8> {
  const outputs = starts.length;
  const pause = Math.ceil(AT_ONCE / (outputs * most));
  const out = new Uint8Array(height * outputs * 3);
  let to = 0;
  for (let y = 0; y < height; y++) {
    if (y % pause === pause - 1) yield;
    for (let x = 0; x < outputs; x++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let from = (y * width + starts[x]!) * 3;
      const end = x * most + counts[x]!;
      for (let k = x * most; k < end; k++) {
        const weight = weights[k]!;
        red += data[from++]! * weight;
        green += data[from++]! * weight;
        blue += data[from++]! * weight;
      }
      out[to++] = toByte(red);
      out[to++] = toByte(green);
      out[to++] = toByte(blue);
    }
  }
  return rgb8(outputs, height, out);
}

function* resizeColumns({ width, data }: Rgb8, { starts, counts, weights, most }: Taps): Steps<Rgb8> {
  const stride = width * 3;
  const pause = Math.ceil(AT_ONCE / (width * most));
  const out = new Uint8Array(starts.length * stride);
  const sums = new Int32Array(stride);
  for (let y = 0; y < starts.length; y++) {
    if (y % pause === pause - 1) yield;
    sums.fill(HALF);
    for (let k = 0; k < counts[y]!; k++) {
      const from = (starts[y]! + k) * stride;
      const weight = weights[y * most + k]!;
      for (let i = 0; i < stride; i++) sums[i] = sums[i]! + data[from + i]! * weight;
    }
    for (let i = 0; i < stride; i++) out[y * stride + i] = toByte(sums[i]!);
  }
  return rgb8(width, starts.length, out);
}
