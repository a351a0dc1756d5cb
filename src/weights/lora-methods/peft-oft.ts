import { elementCount } from "../tensor-entry.ts";
import { cayley } from "./cayley.ts";
import { allOf, type LoraMethod, rowsAndColumns } from "./method.ts";

/** The side of blocks whose upper triangle has so many numbers; undefined if none has. */
function sideOf(numbers: number): number | undefined {
  const side = (1 + Math.sqrt(1 + 8 * numbers)) / 2;
  return Number.isInteger(side) && side > 1 ? side : undefined;
}

/** Terms of the series of (I + Q)(I - Q)^-1 that PEFT adds up, unless its config says otherwise: `num_cayley_neumann_terms`. */
export const OFT_TERMS = 5;

/** I + 2Q + 2Q² + … + Q^(n-1): the Cayley transform's series, the last term once. @param skew [size, size] */
function series(skew: Float64Array, size: number): Float64Array {
  const sum = Float64Array.from(skew, (q, at) => 2 * q + (at % (size + 1) === 0 ? 1 : 0));
  let power = skew;
  for (let exponent = 2; exponent < OFT_TERMS; exponent++) {
    const before = power;
    power = new Float64Array(size * size);
    for (let i = 0; i < size; i++)
      for (let k = 0; k < size; k++) {
        const factor = before[i * size + k]!;
        for (let j = 0; j < size; j++) power[i * size + j]! += factor * skew[k * size + j]!;
      }
    const times = exponent === OFT_TERMS - 1 ? 1 : 2;
    for (let at = 0; at < sum.length; at++) sum[at]! += times * power[at]!;
  }
  return sum;
}

/**
 * Orthogonal finetuning as PEFT computes it: blocks of columns of the weight are turned, kernels among them. The file has the upper triangles
 * of skew matrices, [blocks, b(b-1)/2], or one that all blocks share. Their turn is the first terms of Cayley's series, PEFT's default, or with
 * `use_cayley_neumann: false` of its config exact: as `oft_R_exact`.
 * @see Qiu et al. 2025 (arXiv 2506.19847); peft 0.21.2 tuners/oft/layer.py
 */
export const PEFT_OFT: LoraMethod = {
  name: "OFT",
  parts: ["oft_R", "oft_R_exact"],
  missing: () => [],
  fits({ oft_R, oft_R_exact }, weight) {
    const triangles = oft_R ?? oft_R_exact;
    if (triangles?.length !== 2 || weight.length < 2) return false;
    const [count, numbers] = triangles as [number, number];
    const [, columns] = rowsAndColumns(weight);
    const side = sideOf(numbers);
    return side !== undefined && columns % side === 0 && (count === 1 || count * side === columns);
  },
  change({ oft_R, oft_R_exact }, weight, strength) {
    const { shape, values } = (oft_R ?? oft_R_exact)!;
    const [count, numbers] = shape as [number, number];
    const size = sideOf(numbers)!;
    const turns = new Float64Array(count * size * size);
    for (let block = 0; block < count; block++) {
      const skew = new Float64Array(size * size);
      let next = block * numbers;
      for (let i = 0; i < size; i++)
        for (let j = i + 1; j < size; j++) {
          const value = oft_R === undefined ? -values[next++]! : values[next++]!; // PEFT's sign of the exact form
          skew[i * size + j] = value;
          skew[j * size + i] = -value;
        }
      if (oft_R !== undefined) turns.set(series(skew, size), block * size * size);
      else cayley(skew, turns.subarray(block * size * size), 0, size, 1);
    }
    const [, columns] = rowsAndColumns(weight.shape);
    const turned = turnColumns(weight.values, columns, turns, size, inOrder(columns));
    return between(weight.values, turned, strength);
  },
};

/**
 * The same with butterflies as PEFT computes them: columns are turned several times, in other neighbourhoods each time, and rows are scaled.
 * `boft_R` is [turns, blocks, b, b], `boft_s` a number for each row.
 * @see Liu et al. 2023 (arXiv 2311.06243); peft 0.21.2 tuners/boft/layer.py
 */
export const PEFT_BOFT: LoraMethod = {
  name: "BOFT",
  parts: ["boft_R", "boft_s"],
  missing: allOf("boft_R", "boft_s"),
  fits({ boft_R: blocks, boft_s: scales }, weight) {
    if (blocks?.length !== 4 || scales === undefined || weight.length < 2) return false;
    const [stages, count, size, again] = blocks as [number, number, number, number];
    const [rows, columns] = rowsAndColumns(weight);
    const butterflies = stages === 1 || (size % 2 === 0 && count % 2 ** (stages - 1) === 0);
    return size === again && count * size === columns && stages > 0 && butterflies && elementCount(scales) === rows;
  },
  change({ boft_R, boft_s }, weight, strength) {
    const [stages, count, size] = boft_R!.shape as [number, number, number];
    const [, columns] = rowsAndColumns(weight.shape);
    let turned: Float32Array = weight.values;
    for (let stage = 0; stage < stages; stage++) {
      const turns = new Float64Array(count * size * size);
      const skew = new Float64Array(count * size * size);
      const first = stage * skew.length;
      for (let at = 0; at < skew.length; at++) {
        const [block, inside] = [at - (at % size ** 2), at % size ** 2];
        const across = block + (inside % size) * size + Math.floor(inside / size);
        skew[at] = (boft_R!.values[first + across]! - boft_R!.values[first + at]!) / 2; // PEFT's sign
      }
      for (let from = 0; from < skew.length; from += size ** 2) cayley(skew, turns, from, size, 1);
      turned = turnColumns(turned, columns, turns, size, butterfly(columns, size, stage));
    }
    for (let at = 0; at < turned.length; at++) turned[at]! *= boft_s!.values[Math.floor(at / columns)]!;
    return between(weight.values, turned, strength);
  },
};

const inOrder = (columns: number): Uint32Array => Uint32Array.from({ length: columns }, (_, at) => at);

/**
 * The column at each place of a stage: within runs of 2^stage blocks, groups of half a block at even places come before those at odd places.
 * The first stage leaves all in order.
 */
function butterfly(columns: number, size: number, stage: number): Uint32Array {
  const half = size / 2;
  const groups = 2 ** (stage + 1); // in a run
  if (stage === 0) return inOrder(columns);
  return Uint32Array.from({ length: columns }, (_, at) => {
    const [run, group] = [at - (at % (groups * half)), Math.floor((at % (groups * half)) / half)];
    const from = group < groups / 2 ? 2 * group : 2 * (group - groups / 2) + 1;
    return run + from * half + (at % half);
  });
}

/**
 * Turns blocks of columns.
 * @param turns [blocks, size, size], or one block that all share
 * @param places for each column, its place while columns are turned
 */
function turnColumns(
  values: Float32Array,
  columns: number,
  turns: Float64Array,
  size: number,
  places: Uint32Array,
): Float32Array {
  const made = new Float32Array(values.length);
  const inside = new Float64Array(columns);
  const out = new Float64Array(columns);
  const shared = turns.length === size * size;
  for (let row = 0; row < values.length; row += columns) {
    for (let at = 0; at < columns; at++) inside[places[at]!] = values[row + at]!;
    for (let first = 0; first < columns; first += size) {
      const turn = shared ? 0 : first * size;
      for (let i = 0; i < size; i++) {
        let sum = 0;
        for (let j = 0; j < size; j++) sum += turns[turn + i * size + j]! * inside[first + j]!;
        out[first + i] = sum;
      }
    }
    for (let at = 0; at < columns; at++) made[row + at] = out[places[at]!]!;
  }
  return made;
}

/** What lies on the way from one to the other. */
const between = (from: Float32Array, to: Float32Array, strength: number): Float32Array =>
  to.map((v, at) => from[at]! + strength * (v - from[at]!));
