import { sameDim } from "../dim.ts";
import type { Shape } from "../tensor.ts";
import type { Emitter } from "./emitter.ts";

/** The same values in another shape. 0 copies the input's size, -1 follows from the rest; sizes are computed only if that will not do. */
export function reshapeNode(x: string, from: Shape, to: Shape, e: Emitter): string {
  const short = to.map((d, i) => (typeof d === "number" ? d : from[i] !== undefined && sameDim(d, from[i]) ? 0 : -1));
  return e.node("Reshape", [x, short.filter((d) => d === -1).length <= 1 ? e.ints(short) : e.dims(to)]);
}

/** Sizes that are numbers. */
export const shaped = (value: string, shape: readonly number[], e: Emitter): string => e.node("Reshape", [value, e.ints(shape)]);

/** Axes in another order, of the value in a shape. */
export const turned = (value: string, shape: readonly number[], perm: readonly number[], e: Emitter): string =>
  e.node("Transpose", [shaped(value, shape, e)], { attrs: { perm } });
