import { Mt19937 } from "./mt19937.ts";
import { type NormalSource, seedBits } from "./normal-source.ts";

const BLOCK = 16;

/**
 * `torch.Generator("cpu").manual_seed(seed)`: the same numbers as PyTorch's `torch.randn` in float32, up to its own
 * rounding (its builds differ from each other by 1.2e-6).
 * Fewer than 16 numbers are drawn one by one in double precision, and the spare one of a pair is kept for the next
 * draw; more are drawn in blocks of 16, and a last block that is not full is drawn again.
 * @see pytorch aten/src/ATen/native/cpu/DistributionTemplates.h normal_fill, aten/src/ATen/core/DistributionsHelper.h
 */
export class TorchCpuGenerator implements NormalSource {
  readonly #bits: Mt19937;
  #spare: number | undefined;

  /** @throws UserError seed/invalid */
  constructor(seed: number | bigint | string) {
    this.#bits = new Mt19937(Number(seedBits(seed) & 0xffffffffn));
  }

  randn(count: number): Float32Array {
    return count < BLOCK ? Float32Array.from({ length: count }, () => this.#one()) : this.#many(count);
  }

  #one(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    const angle = 2 * Math.PI * this.#uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-this.#uniform53()));
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  #many(count: number): Float32Array {
    const out = Float32Array.from({ length: count }, () => this.#uniform24());
    for (let i = 0; i + BLOCK <= count; i += BLOCK) toNormal(out.subarray(i, i + BLOCK));
    if (count % BLOCK !== 0) {
      const tail = out.subarray(count - BLOCK);
      for (let i = 0; i < BLOCK; i++) tail[i] = this.#uniform24();
      toNormal(tail);
    }
    return out;
  }

  #uniform24(): number {
    return (this.#bits.next() & 0xffffff) * 2 ** -24;
  }

  #uniform53(): number {
    const high = this.#bits.next() & 0x1fffff;
    return (high * 2 ** 32 + this.#bits.next()) * 2 ** -53;
  }
}

/** Box-Muller transform (1958) in float32, pairing each of the first eight numbers with one of the last eight. */
function toNormal(block: Float32Array): void {
  const half = BLOCK / 2;
  for (let i = 0; i < half; i++) {
    const radius = Math.fround(Math.sqrt(-2 * Math.log(1 - block[i]!)));
    const angle = Math.fround(Math.fround(2 * Math.PI) * block[i + half]!);
    block[i] = radius * Math.cos(angle);
    block[i + half] = radius * Math.sin(angle);
  }
}
