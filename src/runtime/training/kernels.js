// @ts-check
// Plain JavaScript, because the training workers import it and Node starts those from files that it can run as they are.
import { kernelBytes } from "./kernels-bytes.js";

/**
 * @typedef {object} Kernels see kernels.wat
 * @property {{ readonly buffer: ArrayBuffer }} memory
 * @property {(into: number, values: number, n: number, a: number, b: number) => void} blend
 * @property {(into: number, values: number, n: number, share: number) => void} approach
 * @property {(at: number, n: number) => number} sumOfSquares
 * @property {(params: number, m: number, v: number, gradients: number, n: number, scale: number, keep: number, step: number, perRoot: number,
 *   beta1: number, rest1: number, beta2: number, rest2: number, eps: number) => void} adamw
 * @property {(mean: number, gradients: number, n: number, momentum: number, rest: number) => void} direction
 */

/** Of which Node's types have no more than the name. */
const { Instance, Module } =
  /** @type {{ Instance: new (module: object) => { exports: unknown }, Module: new (bytes: Uint8Array) => object }} */ (
    Reflect.get(globalThis, "WebAssembly")
  );
export const kernels = /** @type {Kernels} */ (new Instance(new Module(Buffer.from(kernelBytes, "base64"))).exports);

/** Numbers at once, of each array: what is computed with stays in the processor's first cache. */
const BLOCK = 2048;
const [ARRAYS, LANES] = [4, 4]; // the most that a kernel takes, and what it takes at once
const places = Array.from({ length: ARRAYS }, (_, i) => new Float32Array(kernels.memory.buffer, i * BLOCK * 4, BLOCK));
const addresses = places.map(({ byteOffset }) => byteOffset);

/**
 * Computes with arrays of one length, block by block, in the memory of the kernels.
 * @param {readonly Float32Array[]} arrays
 * @param {readonly number[]} changed which of them are changed
 * @param {(n: number, ...at: number[]) => void} compute is given how many numbers a block has, rounded up to a multiple of four with zeros, and
 *   where each array's block lies
 */
export function inBlocks(arrays, changed, compute) {
  const total = /** @type {Float32Array} */ (arrays[0]).length;
  for (let first = 0; first < total; first += BLOCK) {
    const count = Math.min(BLOCK, total - first);
    const padded = Math.ceil(count / LANES) * LANES;
    for (let i = 0; i < arrays.length; i++) {
      const place = /** @type {Float32Array} */ (places[i]);
      place.set(/** @type {Float32Array} */ (arrays[i]).subarray(first, first + count));
      if (padded > count) place.fill(0, count, padded);
    }
    compute(padded, ...addresses);
    for (const i of changed) {
      const place = /** @type {Float32Array} */ (places[i]);
      /** @type {Float32Array} */ (arrays[i]).set(count === BLOCK ? place : place.subarray(0, count), first);
    }
  }
}
