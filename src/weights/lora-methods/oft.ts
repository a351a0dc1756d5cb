import { addRows } from "../lora-products.ts";
import { elementCount } from "../tensor-entry.ts";
import { cayley } from "./cayley.ts";
import { allOf, type LoraMethod, type LoraPart, rowsAndColumns } from "./method.ts";

/** R = (I + Q)(I - Q)^-1 of each block, where Q = B - B^T, shrunk to the constraint; then s·R + (1 - s)·I. @returns [count, b, b] */
function rotations({ values, shape }: LoraPart, constraint: number, strength: number): Float64Array {
  const size = shape.at(-1)!;
  const skew = new Float64Array(values.length);
  for (let at = 0; at < values.length; at++) {
    const [block, inside] = [at - (at % size ** 2), at % size ** 2];
    skew[at] = values[at]! - values[block + (inside % size) * size + Math.floor(inside / size)]!;
  }
  const norm = Math.sqrt(skew.reduce((sum, q) => sum + q * q, 0));
  if (constraint > 0 && norm > constraint) for (let i = 0; i < skew.length; i++) skew[i]! *= constraint / norm;
  const made = new Float64Array(values.length);
  for (let from = 0; from < values.length; from += size ** 2) cayley(skew, made, from, size, strength);
  return made;
}

/** Each block of rows becomes its turn times the block, or the turn's transpose times it. @param turns [blocks, size, size] */
function turnRows(rows: Float32Array, columns: number, turns: Float64Array, size: number, transpose: boolean): Float32Array {
  const made = new Float32Array(rows.length);
  const sum = new Float64Array(columns);
  const factors = new Float64Array(size);
  for (let row = 0; row < rows.length / columns; row++) {
    const [inside, first] = [row % size, row - (row % size)];
    const at = first * size;
    for (let j = 0; j < size; j++) factors[j] = turns[at + (transpose ? j * size + inside : inside * size + j)]!;
    sum.fill(0);
    addRows(sum, factors, rows, first);
    made.set(sum, row * columns);
  }
  return made;
}

/**
 * Orthogonal finetuning: Qiu et al. 2023 (arXiv 2306.07280) turns blocks of rows, and Liu et al. 2023 (arXiv 2311.06243), whose files have a
 * further dimension, does so several times between which rows change places (butterfly). Alpha is a constraint here.
 * @see LyCORIS lycoris/functional/diag_oft.py and boft.py; kohya's sd-scripts networks/oft.py
 */
export const OFT: LoraMethod = {
  name: "OFT",
  parts: ["oft_blocks", "rescale"],
  missing: allOf("oft_blocks"),
  fits({ oft_blocks: blocks, rescale }, weight) {
    if (blocks === undefined || (blocks.length !== 3 && blocks.length !== 4)) return false;
    const [count, size, again] = blocks.slice(-3) as [number, number, number];
    const butterfly = blocks.length === 4;
    return (
      size === again &&
      count * size === weight[0] &&
      (rescale === undefined || elementCount(rescale) === weight[0]) &&
      (!butterfly || (size % 2 === 0 && weight[0]! % (2 ** (blocks[0]! - 1) * size) === 0))
    );
  },
  change({ oft_blocks, rescale }, { shape, values }, strength, alpha) {
    const [out, columns] = rowsAndColumns(shape);
    const size = oft_blocks!.shape.at(-1)!;
    const turns = rotations(oft_blocks!, alpha * out, strength);
    let rows = values;
    if (oft_blocks!.shape.length === 3) rows = turnRows(rows, columns, turns, size, true);
    else
      for (let stage = 0; stage < oft_blocks!.shape[0]!; stage++) {
        const apart = 2 ** stage * (size / 2);
        const swapped = swapRows(rows, columns, out, 2, apart);
        const turned = turnRows(swapped, columns, turns.subarray(stage * out * size), size, false);
        rows = swapRows(turned, columns, out, apart, 2);
      }
    if (rescale !== undefined) for (let at = 0; at < rows.length; at++) rows[at]! *= rescale.values[Math.floor(at / columns)]!;
    return rows;
  },
};

/** Rows as [groups, g, k, columns] become [groups, k, g, columns]. */
function swapRows(rows: Float32Array, columns: number, out: number, g: number, k: number): Float32Array {
  const made = new Float32Array(rows.length);
  for (let row = 0; row < out; row++) {
    const [group, inside] = [row - (row % (g * k)), row % (g * k)];
    const to = group + (inside % k) * g + Math.floor(inside / k);
    made.set(rows.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return made;
}
