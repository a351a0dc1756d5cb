import { type FloatArray, floats } from "../core/array.ts";
import { type QuantisedWeight, quantisedLinear } from "../graph/ops/quantised.ts";
import { input } from "../graph/ops/source.ts";
import type { Feeds, Runtime } from "./runtime.ts";

/** The form in which products of weights in 8 bits are right: see {@link QuantisedWeight}. */
export type EightBits = "signed" | "unsigned";

const [ROWS, INTO, OUT] = [4, 64, 16];
/** Of a column's weights, which are all 1 or all -1. */
const sign = (column: number): number => (column % 2 === 0 ? 1 : -1);

/** The largest weights that 8 bits have. */
function weightOf(form: EightBits): QuantisedWeight {
  const values = Array.from({ length: INTO * OUT }, (_, i) => 127 * sign(i % OUT));
  const bytes = Uint8Array.from(values, (v) => (form === "signed" ? v : v + 128));
  const scales = new Uint8Array(new Float32Array(OUT).fill(1 / 127).buffer);
  const dtype = form === "signed" ? "I8" : "U8";
  return {
    weight: { path: form, entry: { name: form, dtype, shape: [INTO, OUT], source: { kind: "bytes", bytes } } },
    scales: { path: `${form}:s`, entry: { name: "s", dtype: "F32", shape: [OUT], source: { kind: "bytes", bytes: scales } } },
  };
}

const x = input("x", [ROWS, INTO]);
/**
 * A linear layer in 8 bits in which two neighbouring products sum to 2 · 255 · 127. x86 processors without VNNI multiply unsigned inputs by
 * signed weights with an instruction (pmaddubsw) that ends such sums at 32767, so that half of the right result comes out; unsigned weights
 * take another way there.
 */
export const eightBitProbe = {
  signed: quantisedLinear(x, weightOf("signed")),
  unsigned: quantisedLinear(x, weightOf("unsigned")),
};
export const eightBitProbeFeeds: Feeds = { x: floats(new Float32Array(ROWS * INTO).fill(1), ROWS, INTO) };

/** The faster form of those that are right. @param values of {@link eightBitProbe} */
export function rightForm(values: Readonly<Record<EightBits, FloatArray>>): EightBits | undefined {
  const right = ({ data }: FloatArray): boolean => data.every((v, i) => Math.abs(v - INTO * sign(i % OUT)) < INTO / 100); // false for NaN
  return (["signed", "unsigned"] as const).find((form) => right(values[form]));
}

/** The form in which products in 8 bits are right where the models run, if one is. */
export async function probeEightBits(runtime: Runtime): Promise<EightBits | undefined> {
  const session = await runtime.load(eightBitProbe);
  const values = await session.run(eightBitProbeFeeds);
  await session.close();
  return rightForm(values as Record<EightBits, FloatArray>);
}
