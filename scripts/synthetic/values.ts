import { floatToHalf } from "../../src/core/floats.ts";
import type { Init } from "../../src/graph/weights.ts";

/** An endless stream of half-precision values from a seed: xorshift (Marsaglia 2003) over a table of 65,536 values per spread. */
export class Values {
  #state: number;
  readonly #tables = new Map<number, Uint16Array>();

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) | 1;
  }

  fill(count: number, init: Init): Uint16Array {
    const out = new Uint16Array(count);
    if (init === "zeros") return out;
    if (init === "ones") return out.fill(floatToHalf(1));
    const table = this.#table("uniform" in init ? init.uniform : init.normal * Math.sqrt(3)); // same spread
    let s = this.#state;
    for (let i = 0; i < count; i++) {
      s ^= s << 13;
      s ^= s >>> 17;
      s ^= s << 5;
      out[i] = table[s & 0xffff]!;
    }
    this.#state = s;
    return out;
  }

  #table(bound: number): Uint16Array {
    const known = this.#tables.get(bound) ?? Uint16Array.from({ length: 65536 }, (_, i) => floatToHalf((i / 32768 - 1) * bound));
    this.#tables.set(bound, known);
    return known;
  }
}
