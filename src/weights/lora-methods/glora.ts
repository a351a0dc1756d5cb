import { product } from "../lora-products.ts";
import { elementCount } from "../tensor-entry.ts";
import { LORA } from "./lora.ts";
import { allOf, type LoraMethod, multiplied, multiplies, type PartShapes, rowsAndColumns, tuckerFits } from "./method.ts";

/** Whether a file of GLoRA has the factors in the order of early LyCORIS: b2·b1 + W·a2·a1. */
function gloraIsOld({ a1, a2, b1, b2 }: PartShapes, [out]: readonly number[]): boolean {
  const old = b2![1] === b1![0] && b1![0] === a1![0] && a1![0] === a2![1];
  const recent = b2![0] === b1![1] && b1![1] === a1![1] && a1![1] === a2![0];
  return old && (!recent || a2![0] === out);
}

/** Chavan et al. 2023 (arXiv 2306.07967): b1·b2 + W·a1·a2. */
export const GLORA: LoraMethod = {
  name: "GLoRA",
  parts: ["a1", "a2", "b1", "b2", "bm"],
  missing: allOf("a1", "a2", "b1", "b2"),
  fits(p, weight) {
    const { a1, a2, b1, b2, bm } = p;
    if ([a1, a2, b1, b2].some((shape) => shape === undefined || shape.length < 2)) return false;
    const into = weight[1]!;
    if (bm !== undefined) return tuckerFits(b1, bm, b2, weight) && multiplies(a1, a2, into, into);
    const [rows, columns] = rowsAndColumns(weight);
    return gloraIsOld(p, weight)
      ? weight.length === 2 && multiplies(b2, b1, rows, columns) && multiplies(a2, a1, columns, columns)
      : multiplies(b1, b2, rows, columns) && multiplies(a1, a2, into, into);
  },
  rank: ({ a1, a2 }) => Math.min(a1![0]!, a2![0]!), // the other is the layer's width
  difference({ a1, a2, b1, b2, bm }, weight) {
    const old = gloraIsOld({ a1: a1!.shape, a2: a2!.shape, b1: b1!.shape, b2: b2!.shape }, weight.shape);
    const [first, second] = old ? [a2!, a1!] : [a1!, a2!];
    const [out, into] = weight.shape as [number, number];
    const kernel = elementCount(weight.shape.slice(2));
    const [, rank] = rowsAndColumns(first.shape);
    const made = old
      ? multiplied(b2!, b1!)
      : bm === undefined
        ? multiplied(b1!, b2!)
        : LORA.difference!({ down: b2, up: b1, mid: bm }, weight);
    // the channels of a convolution are multiplied, at each place of the kernel
    const rows = kernel === 1 ? weight.values : channelsLast(weight.values, out, into, kernel);
    const changed = product(product(rows, first.values, out * kernel, into, rank), second.values, out * kernel, rank, into);
    for (let o = 0; o < out; o++)
      for (let k = 0; k < kernel; k++)
        for (let i = 0; i < into; i++) made[(o * into + i) * kernel + k]! += changed[(o * kernel + k) * into + i]!;
    return made;
  },
};

/** [out, in, kernel] as [out, kernel, in]. */
function channelsLast(values: Float32Array, out: number, into: number, kernel: number): Float32Array {
  const made = new Float32Array(values.length);
  for (let o = 0; o < out; o++)
    for (let i = 0; i < into; i++)
      for (let k = 0; k < kernel; k++) made[(o * kernel + k) * into + i] = values[(o * into + i) * kernel + k]!;
  return made;
}
