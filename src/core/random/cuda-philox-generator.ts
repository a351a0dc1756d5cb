import { type NormalSource, seedBits } from "./normal-source.ts";

/**
 * `torch.Generator("cuda").manual_seed(seed)`: PyTorch's `torch.randn` on a GPU, for fewer numbers than one pass of the
 * grid (over 100,000 on desktop GPUs). Philox4x32-10 (Salmon et al. 2011) with the seed as key and a counter of elements
 * and calls, then the Box-Muller transform as in cuRAND.
 */
export class CudaPhiloxGenerator implements NormalSource {
  readonly #key: readonly [number, number];
  #calls = 0;

  /** @throws UserError seed/invalid */
  constructor(seed: number | bigint | string) {
    const bits = seedBits(seed);
    this.#key = [Number(bits & 0xffffffffn), Number(bits >> 32n)];
  }

  randn(count: number): Float32Array {
    const call = this.#calls++;
    return Float32Array.from({ length: count }, (_, i) => {
      const [x, y] = philox4x32([call, 0, i, 0], this.#key);
      const u = Math.fround(Math.fround(Math.fround(x!) * UNIT) + UNIT / 2);
      const v = Math.fround(Math.fround(Math.fround(y!) * TURN) + TURN / 2);
      return Math.sqrt(-2 * Math.log(u)) * Math.sin(v);
    });
  }
}

const UNIT = Math.fround(2.3283064e-10); // 2^-32 as cuRAND writes it
const TURN = Math.fround(2.3283064e-10 * 6.2831855);

/** High and low half of the product of two 32-bit numbers. */
function wideProduct(a: number, b: number): [number, number] {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle % 65536);
  const high = aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(carry / 65536);
  return [high >>> 0, Math.imul(a, b) >>> 0];
}

/** Ten rounds of Philox on four 32-bit words. */
export function philox4x32(counter: readonly number[], key: readonly [number, number]): number[] {
  let [a, b, c, d] = counter as [number, number, number, number];
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = wideProduct(0xd2511f53, a);
    const [high1, low1] = wideProduct(0xcd9e8d57, c);
    [a, b, c, d] = [(high1 ^ b ^ k0) >>> 0, low1, (high0 ^ d ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [a, b, c, d];
}
