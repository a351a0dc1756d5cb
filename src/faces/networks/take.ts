import { type Rgb8, rgb8 } from "../../image/rgb8.ts";
import { type Similarity, warp } from "../align.ts";

/**
 * Moves a part of a picture into a square by `transform`, antialiased: where the picture shrinks to less than half, the mean of each block of
 * pixels is taken first. Outside the picture all is black.
 * @param side of the square in pixels
 */
export function takeSquare(picture: Rgb8, transform: Similarity, side: number): Rgb8 {
  const { a, b, dx, dy } = transform;
  const block = Math.floor(1 / Math.hypot(a, b));
  if (block < 2) return warp(picture, transform, side);
  const corners = [
    [0, 0],
    [side, 0],
    [0, side],
    [side, side],
  ].map(([u, v]) => backwards(transform, u!, v!));
  const first = (axis: 0 | 1): number => Math.floor(Math.min(...corners.map((p) => p[axis]))) - block;
  const count = (axis: 0 | 1): number => Math.ceil((Math.max(...corners.map((p) => p[axis])) + block - first(axis)) / block);
  const [left, top] = [first(0), first(1)];
  const small = blockMeans(picture, { left, top, columns: count(0), rows: count(1), block });
  // the middle of a block, in the picture's pixels, is block · (its number + 0.5) - 0.5 + left
  const [ox, oy] = [(block - 1) / 2 + left, (block - 1) / 2 + top];
  return warp(small, { a: a * block, b: b * block, dx: a * ox - b * oy + dx, dy: b * ox + a * oy + dy }, side);
}

/** The point of the original that a similarity moves to (u, v). */
export function backwards({ a, b, dx, dy }: Similarity, u: number, v: number): readonly [number, number] {
  const square = a * a + b * b;
  return [(a * (u - dx) + b * (v - dy)) / square, (a * (v - dy) - b * (u - dx)) / square];
}

interface Blocks {
  readonly left: number;
  readonly top: number;
  readonly columns: number;
  readonly rows: number;
  readonly block: number;
}

/** Means of blocks of pixels; what lies outside the picture is black. */
function blockMeans({ width, height, data }: Rgb8, { left, top, columns, rows, block }: Blocks): Rgb8 {
  const out = new Uint8Array(columns * rows * 3);
  const sums = new Uint32Array(columns * 3);
  for (let row = 0; row < rows; row++) {
    sums.fill(0);
    const start = top + row * block;
    for (let y = Math.max(0, start); y < Math.min(height, start + block); y++)
      for (let column = 0; column < columns; column++) {
        const begin = left + column * block;
        for (let x = Math.max(0, begin); x < Math.min(width, begin + block); x++)
          for (let c = 0; c < 3; c++) sums[column * 3 + c]! += data[(y * width + x) * 3 + c]!;
      }
    for (let i = 0; i < sums.length; i++) out[row * columns * 3 + i] = Math.round(sums[i]! / (block * block));
  }
  return rgb8(columns, rows, out);
}
