import { type FloatArray, floats } from "../core/array.ts";
import { type QuantisedWeight, quantisedAttention, quantisedLinear } from "../graph/ops/quantised.ts";
import { input } from "../graph/ops/source.ts";
import type { Feeds, Runtime } from "./runtime.ts";

/**
 * Range of weights for which products of bytes are correct. x86 processors without VNNI multiply unsigned inputs by signed weights with an
 * instruction (vpmaddubsw) that saturates the sum of two neighbouring products at 16 bits. There only weights whose pairs sum to 128 at most
 * give correct products ("paired"); elsewhere all do ("full").
 */
export type WeightRange = "full" | "paired";

const [ROWS, INTO, OUT] = [4, 64, 16];
/** Sign of all weights of a column. */
const sign = (column: number): number => (column % 2 === 0 ? 1 : -1);

/** Largest weights for which products must be correct. */
const LARGEST = {
  full: () => 127,
  // Two kinds of columns. The first is correct only if the processor pairs each even row with the next one.
  paired: (row: number, column: number) => (column % 4 < 2 ? [0, 127, 127, 0][row % 4]! : 64),
};

const weightAt = (range: WeightRange, row: number, column: number): number => LARGEST[range](row, column) * sign(column);

function weightOf(range: WeightRange): QuantisedWeight {
  const bytes = Int8Array.from({ length: INTO * OUT }, (_, i) => weightAt(range, Math.floor(i / OUT), i % OUT));
  const scales = new Float32Array(OUT).fill(1);
  const source = (of: Int8Array | Float32Array) => ({ kind: "bytes" as const, bytes: new Uint8Array(of.buffer) });
  return {
    weight: { path: range, entry: { name: range, dtype: "I8", shape: [INTO, OUT], source: source(bytes) } },
    scales: { path: `${range}:s`, entry: { name: "s", dtype: "F32", shape: [OUT], source: source(scales) } },
  };
}

const x = input("x", [ROWS, INTO]);
const alike = input("alike", [1, INTO, OUT]);
const values = input("values", [1, INTO, OUT]);
/** Graphs of products of the largest weights with ones, the largest inputs, and of 8-bit attention, which is unsigned where weights are "paired". */
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

/** The widest range whose products are correct, or undefined. @param found outputs of {@link eightBitProbe} */
export function correctRange(found: Probed): WeightRange | undefined {
  const right = (name: keyof Probed, expected: (column: number) => number): boolean =>
    found[name].data.every((v, i) => Math.abs(v / expected(i % OUT) - 1) < 0.01); // false for NaN
  const sums = (range: WeightRange) => (column: number) => {
    let sum = 0;
    for (let row = 0; row < INTO; row++) sum += weightAt(range, row, column);
    return sum;
  };
  if (right("full", sums("full"))) return "full";
  return right("paired", sums("paired")) && right("unsigned", sign) ? "paired" : undefined;
}

/** Finds the widest range of weights for which the runtime's products of bytes are correct; undefined if there is none. */
export async function probeEightBits(runtime: Runtime): Promise<WeightRange | undefined> {
  const session = await runtime.load(eightBitProbe);
  const found = await session.run(eightBitProbeFeeds);
  await session.close();
  return correctRange(found as Probed);
}
