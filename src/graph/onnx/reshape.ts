import { sameDim } from "../dim.ts";
import type { Shape } from "../tensor.ts";
import type { Emitter } from "./emitter.ts";

/** A reshape. In ONNX, 0 copies the input's size and -1 is inferred; symbolic sizes are computed only where these do not suffice. */
export function reshapeNode(x: string, from: Shape, to: Shape, e: Emitter): string {
  const short = to.map((d, i) => (typeof d === "number" ? d : from[i] !== undefined && sameDim(d, from[i]) ? 0 : -1));
  return e.node("Reshape", [x, short.filter((d) => d === -1).length <= 1 ? e.ints(short) : e.dims(to)]);
}

/** A reshape to fixed sizes. */
export const shaped = (value: string, shape: readonly number[], e: Emitter): string => e.node("Reshape", [value, e.ints(shape)]);

/** A transpose of the value, first reshaped to `shape`. */
export const transposed = (value: string, shape: readonly number[], perm: readonly number[], e: Emitter): string =>
  e.node("Transpose", [shaped(value, shape, e)], { attrs: { perm } });
