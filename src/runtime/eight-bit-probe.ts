import { type FloatArray, floats } from "../core/array.ts";
import { type QuantisedWeight, quantisedAttention, quantisedLinear } from "../graph/ops/quantised.ts";
import { input } from "../graph/ops/source.ts";
import type { Feeds, Runtime } from "./runtime.ts";

/**
 * Of which weights products of bytes are right. x86 processors without VNNI multiply unsigned inputs by signed weights with an instruction
 * (vpmaddubsw) that ends the sum of two neighbouring products at 16 bits: there weights are right whose pairs sum to 128 at most.
 */
export type EightBits = "full" | "paired";

const [ROWS, INTO, OUT] = [4, 64, 16];
/** Of a column's weights, which are all of one sign. */
const sign = (column: number): number => (column % 2 === 0 ? 1 : -1);

/** The largest weights of which products are to be right. */
const LARGEST = {
  full: () => 127,
  // Two kinds of columns. In other pairs than of an even row and the next one, the first kind would be wrong.
  paired: (row: number, column: number) => (column % 4 < 2 ? [0, 127, 127, 0][row % 4]! : 64),
};

const weightAt = (form: EightBits, row: number, column: number): number => LARGEST[form](row, column) * sign(column);

function weightOf(form: EightBits): QuantisedWeight {
  const bytes = Int8Array.from({ length: INTO * OUT }, (_, i) => weightAt(form, Math.floor(i / OUT), i % OUT));
  const scales = new Float32Array(OUT).fill(1);
  const source = (of: Int8Array | Float32Array) => ({ kind: "bytes" as const, bytes: new Uint8Array(of.buffer) });
  return {
    weight: { path: form, entry: { name: form, dtype: "I8", shape: [INTO, OUT], source: source(bytes) } },
    scales: { path: `${form}:s`, entry: { name: "s", dtype: "F32", shape: [OUT], source: source(scales) } },
  };
}

const x = input("x", [ROWS, INTO]);
const alike = input("alike", [1, INTO, OUT]);
const values = input("values", [1, INTO, OUT]);
/** Products of ones, which are the largest inputs, with such weights, and what of attention in 8 bits is unsigned where they are in pairs. */
export const eightBitProbe = {
  full: quantisedLinear(x, weightOf("full")),
  paired: quantisedLinear(x, weightOf("paired")),
  unsigned: quantisedAttention(alike, alike, values, { unsigned: true }),
};
export const eightBitProbeFeeds: Feeds = {
  x: floats(new Float32Array(ROWS * INTO).fill(1), ROWS, INTO),
  alike: floats(new Float32Array(INTO * OUT).fill(1), 1, INTO, OUT),
  values: floats(
    Float32Array.from({ length: INTO * OUT }, (_, i) => sign(i % OUT)),
    ...[1, INTO, OUT],
  ),
};

type Probed = Readonly<Record<keyof typeof eightBitProbe, FloatArray>>;

/** The most accurate form of those that are right. @param found values of {@link eightBitProbe} */
export function rightForm(found: Probed): EightBits | undefined {
  const right = (name: keyof Probed, expected: (column: number) => number): boolean =>
    found[name].data.every((v, i) => Math.abs(v / expected(i % OUT) - 1) < 0.01); // false for NaN
  const sums = (form: EightBits) => (column: number) => {
    let sum = 0;
    for (let row = 0; row < INTO; row++) sum += weightAt(form, row, column);
    return sum;
  };
  if (right("full", sums("full"))) return "full";
  return right("paired", sums("paired")) && right("unsigned", sign) ? "paired" : undefined;
}

/** Of which weights products in 8 bits are right where the models run, if of any. */
export async function probeEightBits(runtime: Runtime): Promise<EightBits | undefined> {
  const session = await runtime.load(eightBitProbe);
  const found = await session.run(eightBitProbeFeeds);
  await session.close();
  return rightForm(found as Probed);
}
