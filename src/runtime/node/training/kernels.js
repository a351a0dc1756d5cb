// @ts-check
// Plain JavaScript, because the training workers import it and Node starts those from files that it can run as they are.
import { kernelBytes } from "./kernels-bytes.js";

/**
 * @typedef {object} Kernels see kernels.wat
 * @property {(into: number, values: number, n: number, a: number, b: number) => void} blend
 * @property {(into: number, values: number, n: number, share: number) => void} approach
 * @property {(at: number, n: number) => number} sumOfSquares
 * @property {(params: number, m: number, v: number, gradients: number, n: number, scale: number, keep: number, step: number, perRoot: number,
 *   beta1: number, rest1: number, beta2: number, rest2: number, eps: number) => void} adamw
 * @property {(mean: number, gradients: number, n: number, momentum: number, rest: number) => void} direction
 * @typedef {{ readonly buffer: SharedArrayBuffer }} Memory of WebAssembly, shared
 */

/** WebAssembly, which Node's types do not describe. */
const { Instance, Memory, Module } =
  /** @type {{ Instance: new (module: object, imports: object) => { exports: unknown }, Module: new (bytes: Uint8Array) => object,
   *   Memory: new (size: { initial: number, maximum: number, shared: true }) => Memory }} */ (
    Reflect.get(globalThis, "WebAssembly")
  );
const module = new Module(Buffer.from(kernelBytes, "base64"));

const PAGE = 65536;
/** Largest size of one memory in bytes: addresses have 32 bits, including the one after the last number. */
export const MOST_BYTES = 2 ** 32 - PAGE;

/** @param {number} bytes */
export function sharedMemory(bytes) {
  const pages = Math.ceil(bytes / PAGE);
  return new Memory({ initial: pages, maximum: pages, shared: true });
}

/** @param {Memory} memory */
const kernelsIn = (memory) => /** @type {Kernels} */ (new Instance(module, { env: { memory } }).exports);

/** @type {WeakMap<object, Kernels>} */
const byBuffer = new WeakMap();
/**
 * Lets kernels compute in place on arrays in this memory from now on.
 * @param {Memory} memory
 */
export function computeIn(memory) {
  byBuffer.set(memory.buffer, kernelsIn(memory));
}

/** Count of numbers that are copied at a time from each array outside such a memory: few enough for the first-level cache. */
const BLOCK = 2048;
const [ARRAYS, LANES] = [4, 4]; // arrays of the largest kernel, and numbers per instruction
const scratch = sharedMemory(ARRAYS * BLOCK * 4);
const scratchKernels = kernelsIn(scratch);
const places = Array.from({ length: ARRAYS }, (_, i) => new Float32Array(scratch.buffer, i * BLOCK * 4, BLOCK));
const addresses = places.map(({ byteOffset }) => byteOffset);

/**
 * Computes with arrays of equal length: in place if they lie in a memory given to computeIn, otherwise block by block in copies.
 * @param {readonly Float32Array[]} arrays
 * @param {readonly number[]} changed indices of the arrays that are changed
 * @param {(kernels: Kernels, n: number, ...at: number[]) => void} compute receives the count of numbers, a multiple of four (padded with
 *   zeros), and the address of each array
 */
export function withKernels(arrays, changed, compute) {
  const { buffer, length } = /** @type {Float32Array} */ (arrays[0]);
  const kernels = byBuffer.get(buffer);
  const here = kernels !== undefined && arrays.every((array) => array.buffer === buffer);
  for (let first = 0; first < length; ) {
    const count = Math.min(BLOCK, length - first);
    if (here && count >= LANES) {
      const whole = count - (count % LANES);
      compute(kernels, whole, ...arrays.map(({ byteOffset }) => byteOffset + first * 4));
      first += whole;
      continue;
    }
    const padded = Math.ceil(count / LANES) * LANES;
    for (let i = 0; i < arrays.length; i++) {
      const place = /** @type {Float32Array} */ (places[i]);
      place.set(/** @type {Float32Array} */ (arrays[i]).subarray(first, first + count));
      if (padded > count) place.fill(0, count, padded);
    }
    compute(scratchKernels, padded, ...addresses);
    for (const i of changed) {
      const place = /** @type {Float32Array} */ (places[i]);
      /** @type {Float32Array} */ (arrays[i]).set(count === BLOCK ? place : place.subarray(0, count), first);
    }
    first += count;
  }
}
