import { halfValues } from "../core/floats.ts";

/** A format of numbers in blocks: small integers that share scales. */
export interface BlockFormat {
  readonly name: string;
  /** Numbers in a block */
  readonly numbers: number;
  /** Bytes of a block */
  readonly bytes: number;
  /**
   * Decodes whole blocks. Every product of a scale and an integer is exact in float32, so the result is ggml's to the bit.
   * @param out of as many numbers as the blocks have
   */
  readonly decode: (blocks: Uint8Array, out: Float32Array) => void;
}

/** Decodes block after block, each of `bytes` bytes: `decode(at, to)` reads from byte `at` and writes from number `to` on. */
function each(blocks: Uint8Array, bytes: number, numbers: number, decode: (at: number, to: number) => void): void {
  for (let at = 0, to = 0; at < blocks.length; at += bytes, to += numbers) decode(at, to);
}

/** A half-precision number at byte `at`. */
const half = (table: Float32Array, b: Uint8Array, at: number): number => table[b[at]! | (b[at + 1]! << 8)]!;

const signed = (byte: number): number => (byte << 24) >> 24;

const q8_0: BlockFormat["decode"] = (b, out) => {
  const table = halfValues();
  const integers = new Int8Array(b.buffer, b.byteOffset, b.length);
  each(b, 34, 32, (at, to) => {
    const d = half(table, b, at);
    // four at a time, which takes half as long
    for (let i = to, from = at + 2; i < to + 32; i += 4, from += 4) {
      out[i] = d * integers[from]!;
      out[i + 1] = d * integers[from + 1]!;
      out[i + 2] = d * integers[from + 2]!;
      out[i + 3] = d * integers[from + 3]!;
    }
  });
};

/** 4 bits, low halves first, then high ones; with `minimum`, d q + m instead of d (q - 8). */
const fourBits =
  (minimum: boolean): BlockFormat["decode"] =>
  (b, out) => {
    const table = halfValues();
    const start = minimum ? 4 : 2;
    each(b, start + 16, 32, (at, to) => {
      const d = half(table, b, at);
      const m = minimum ? half(table, b, at + 2) : -0; // which changes no sum
      const zero = minimum ? 0 : 8;
      for (let i = 0; i < 16; i++) {
        const two = b[at + start + i]!;
        out[to + i] = d * ((two & 15) - zero) + m;
        out[to + 16 + i] = d * ((two >> 4) - zero) + m;
      }
    });
  };

/** As {@link fourBits}, with a fifth bit of each number in a word before them. */
const fiveBits =
  (minimum: boolean): BlockFormat["decode"] =>
  (b, out) => {
    const table = halfValues();
    const start = minimum ? 4 : 2;
    each(b, start + 20, 32, (at, to) => {
      const d = half(table, b, at);
      const m = minimum ? half(table, b, at + 2) : -0; // which changes no sum
      const zero = minimum ? 0 : 16;
      const fifth = b[at + start]! | (b[at + start + 1]! << 8) | (b[at + start + 2]! << 16) | (b[at + start + 3]! << 24);
      for (let i = 0; i < 16; i++) {
        const two = b[at + start + 4 + i]!;
        out[to + i] = d * (((two & 15) | (((fifth >>> i) & 1) << 4)) - zero) + m;
        out[to + 16 + i] = d * (((two >> 4) | (((fifth >>> (i + 16)) & 1) << 4)) - zero) + m;
      }
    });
  };

const q2_K: BlockFormat["decode"] = (b, out) => {
  const table = halfValues();
  each(b, 84, 256, (at, to) => {
    const d = half(table, b, at + 80);
    const least = half(table, b, at + 82);
    for (let group = 0; group < 16; group++) {
      const scale = b[at + group]!;
      const [dl, ml] = [d * (scale & 15), least * (scale >> 4)];
      // of each 128 numbers: 4 pairs of bits of the same 32 bytes, 16 numbers a group
      const from = at + 16 + 32 * (group >> 3) + 16 * (group & 1);
      const shift = 2 * ((group >> 1) & 3);
      for (let i = 0; i < 16; i++) out[to + 16 * group + i] = dl * ((b[from + i]! >> shift) & 3) - ml;
    }
  });
};

const q3_K: BlockFormat["decode"] = (b, out) => {
  const table = halfValues();
  each(b, 110, 256, (at, to) => {
    const d = half(table, b, at + 108);
    for (let group = 0; group < 16; group++) {
      // 6 bits: four in the first 8 bytes, two in the last 4
      const low = group < 8 ? b[at + 96 + group]! & 15 : b[at + 96 + group - 8]! >> 4;
      const high = (b[at + 104 + (group & 3)]! >> (2 * (group >> 2))) & 3;
      const dl = d * ((low | (high << 4)) - 32);
      const inRow = 16 * (group & 1);
      const from = at + 32 + 32 * (group >> 3) + inRow;
      const shift = 2 * ((group >> 1) & 3);
      const bit = group >> 1; // which bit of the mask
      for (let i = 0; i < 16; i++) {
        const third = (b[at + inRow + i]! >> bit) & 1;
        out[to + 16 * group + i] = dl * (((b[from + i]! >> shift) & 3) - (third === 1 ? 0 : 4));
      }
    }
  });
};

/** Scale or minimum of the `j`th 32 numbers, 6 bits each, in the 12 bytes from `at` on. */
const scale6 = (b: Uint8Array, at: number, j: number): number =>
  j < 4 ? b[at + j]! & 63 : (b[at + j + 4]! & 15) | ((b[at + j - 4]! >> 6) << 4);
const minimum6 = (b: Uint8Array, at: number, j: number): number =>
  j < 4 ? b[at + j + 4]! & 63 : (b[at + j + 4]! >> 4) | ((b[at + j]! >> 6) << 4);

const q4_K: BlockFormat["decode"] = (b, out) => {
  const table = halfValues();
  each(b, 144, 256, (at, to) => {
    const d = half(table, b, at);
    const least = half(table, b, at + 2);
    for (let j = 0; j < 8; j++) {
      const dl = d * scale6(b, at + 4, j);
      const ml = least * minimum6(b, at + 4, j);
      const from = at + 16 + 32 * (j >> 1);
      const shift = 4 * (j & 1);
      for (let i = 0; i < 32; i++) out[to + 32 * j + i] = dl * ((b[from + i]! >> shift) & 15) - ml;
    }
  });
};

const q5_K: BlockFormat["decode"] = (b, out) => {
  const table = halfValues();
  each(b, 176, 256, (at, to) => {
    const d = half(table, b, at);
    const least = half(table, b, at + 2);
    for (let j = 0; j < 8; j++) {
      const dl = d * scale6(b, at + 4, j);
      const ml = least * minimum6(b, at + 4, j);
      const from = at + 48 + 32 * (j >> 1);
      const shift = 4 * (j & 1);
      for (let i = 0; i < 32; i++) {
        const fifth = ((b[at + 16 + i]! >> j) & 1) << 4;
        out[to + 32 * j + i] = dl * (((b[from + i]! >> shift) & 15) | fifth) - ml;
      }
    }
  });
};

const q6_K: BlockFormat["decode"] = (b, out) => {
  const table = halfValues();
  each(b, 210, 256, (at, to) => {
    const d = half(table, b, at + 208);
    for (let group = 0; group < 16; group++) {
      const dl = d * signed(b[at + 192 + group]!);
      const inHalf = group & 7; // of 128 numbers
      const start = 16 * (inHalf & 1);
      const low = at + 64 * (group >> 3) + 32 * ((inHalf >> 1) & 1) + start;
      const high = at + 128 + 32 * (group >> 3) + start;
      const [shift, two] = [4 * (inHalf >> 2), 2 * (inHalf >> 1)];
      for (let i = 0; i < 16; i++)
        out[to + 16 * group + i] = dl * ((((b[low + i]! >> shift) & 15) | (((b[high + i]! >> two) & 3) << 4)) - 32);
    }
  });
};

/** What the 4 bits of IQ4_NL and IQ4_XS stand for. @see ggml-common.h: kvalues_iq4nl */
const NON_LINEAR = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

const iq4_NL: BlockFormat["decode"] = (b, out) => {
  const table = halfValues();
  each(b, 18, 32, (at, to) => {
    const d = half(table, b, at);
    for (let i = 0; i < 16; i++) {
      const two = b[at + 2 + i]!;
      out[to + i] = d * NON_LINEAR[two & 15]!;
      out[to + 16 + i] = d * NON_LINEAR[two >> 4]!;
    }
  });
};

const iq4_XS: BlockFormat["decode"] = (b, out) => {
  const table = halfValues();
  each(b, 136, 256, (at, to) => {
    const d = half(table, b, at);
    const high = b[at + 2]! | (b[at + 3]! << 8);
    for (let j = 0; j < 8; j++) {
      const low = (b[at + 4 + (j >> 1)]! >> (4 * (j & 1))) & 15;
      const dl = d * ((low | (((high >> (2 * j)) & 3) << 4)) - 32);
      for (let i = 0; i < 16; i++) {
        const two = b[at + 8 + 16 * j + i]!;
        out[to + 32 * j + i] = dl * NON_LINEAR[two & 15]!;
        out[to + 32 * j + 16 + i] = dl * NON_LINEAR[two >> 4]!;
      }
    }
  });
};

/**
 * Formats of blocks by their number in GGUF.
 * @see ggml/src/ggml-quants.c: dequantize_row_*; gguf-py: GGML_QUANT_SIZES
 */
export const BLOCK_FORMATS: ReadonlyMap<number, BlockFormat> = new Map([
  [2, { name: "Q4_0", numbers: 32, bytes: 18, decode: fourBits(false) }],
  [3, { name: "Q4_1", numbers: 32, bytes: 20, decode: fourBits(true) }],
  [6, { name: "Q5_0", numbers: 32, bytes: 22, decode: fiveBits(false) }],
  [7, { name: "Q5_1", numbers: 32, bytes: 24, decode: fiveBits(true) }],
  [8, { name: "Q8_0", numbers: 32, bytes: 34, decode: q8_0 }],
  [10, { name: "Q2_K", numbers: 256, bytes: 84, decode: q2_K }],
  [11, { name: "Q3_K", numbers: 256, bytes: 110, decode: q3_K }],
  [12, { name: "Q4_K", numbers: 256, bytes: 144, decode: q4_K }],
  [13, { name: "Q5_K", numbers: 256, bytes: 176, decode: q5_K }],
  [14, { name: "Q6_K", numbers: 256, bytes: 210, decode: q6_K }],
  [20, { name: "IQ4_NL", numbers: 32, bytes: 18, decode: iq4_NL }],
  [23, { name: "IQ4_XS", numbers: 256, bytes: 136, decode: iq4_XS }],
]);

/** Names of formats that GGUF files may have and that are not read, by their number. */
export const OTHER_FORMATS: ReadonlyMap<number, string> = new Map([
  [4, "Q4_2"],
  [5, "Q4_3"],
  [9, "Q8_1"],
  [15, "Q8_K"],
  [16, "IQ2_XXS"],
  [17, "IQ2_XS"],
  [18, "IQ3_XXS"],
  [19, "IQ1_S"],
  [21, "IQ3_S"],
  [22, "IQ2_S"],
  [29, "IQ1_M"],
  [31, "Q4_0_4_4"],
  [32, "Q4_0_4_8"],
  [33, "Q4_0_8_8"],
  [34, "TQ1_0"],
  [35, "TQ2_0"],
  [36, "IQ4_NL_4_4"],
  [37, "IQ4_NL_4_8"],
  [38, "IQ4_NL_8_8"],
  [39, "MXFP4"],
  [40, "NVFP4"],
  [41, "Q1_0"],
]);
