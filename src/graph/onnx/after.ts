import { afterOp, widenedParamOp } from "../ops/after.ts";
import type { Tensor } from "../tensor.ts";
import { type Emitter, type Lowerings, lower } from "./emitter.ts";

const INT64 = 7; // TensorProto.DataType

/**
 * The shape of y, as a value that exists only once `awaited` do: zeros computed from their first numbers are added to it. Reshaping to it
 * copies nothing, and no optimiser can tell that it is constant.
 */
function shapeAfter(y: Tensor, awaited: readonly Tensor[], names: readonly string[], e: Emitter): string {
  const parts = awaited.map((t, i) => {
    const flat = e.node("Reshape", [names[i]!, e.ints([-1])]);
    const first = e.node("Slice", [flat, e.ints([0]), e.ints([1]), e.ints([0])]);
    // a comparison gives 0 or 1 for NaN too
    const whole =
      t.dtype === "i64" ? first : e.node("Cast", [e.node("Greater", [first, e.floats([0], [1])])], { attrs: { to: INT64 } });
    return e.node("Mul", [whole, e.ints([0])]);
  });
  const zeros = parts.reduce((a, b) => e.node("Add", [a, b]));
  return e.node("Add", [e.dims(y.shape), zeros]);
}

export const afterLowerings: Lowerings = new Map([
  lower(afterOp, (y, [x, ...names], e) => e.node("Reshape", [x!, shapeAfter(y, y.inputs.slice(1), names, e)])),
  lower(widenedParamOp, (y, names, e) => {
    const { name, isFloat32 } = e.weight(y.attrs);
    const late = e.node("Reshape", [name, shapeAfter(y, y.inputs, names, e)]);
    return e.scaled(isFloat32 ? late : e.widen(late), y.attrs);
  }),
]);
