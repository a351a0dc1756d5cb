import { elementCount } from "../../weights/tensor-entry.ts";
import { apply, is, type Op, type Tensor } from "../tensor.ts";
import { permuteOp } from "./layout.ts";
import { type ParamAttrs, paramOp } from "./source.ts";

/**
 * The first input, available only once the others are. The runtime can then neither merge the operations that use it with the same ones on the
 * input itself nor run them earlier: memory is taken when it is needed.
 */
export const afterOp: Op = {
  name: "after",
  shape: ([x]) => x!.shape,
  gradient: (dy, y) => [() => dy, ...y.inputs.slice(1).map(() => undefined)],
};
export const after = (x: Tensor, ...awaited: readonly Tensor[]): Tensor =>
  awaited.length === 0 ? x : apply(afterOp, [x, ...awaited], {});

/** A frozen weight that is widened to float32 only once the input is there, and again each time that it is used. */
export const widenedParamOp: Op<ParamAttrs> = {
  name: "lateParam",
  shape: (_, { entry }) => entry.shape,
  dtype: () => "f32",
  gradient: () => [],
};

/** Elements: smaller weights are not worth the trouble. */
const SMALL = 2 ** 16;

/**
 * Widens weights stored in half precision where they are used, and releases them afterwards: a model's frozen weights then take as much memory
 * as their files. Otherwise ONNX Runtime would keep all of them in float32. A rule for `rewrite`.
 * @param smallest elements of the smallest weight to be treated so
 */
export function widenAtUse(y: Tensor, smallest = SMALL): Tensor | undefined {
  const awaited = y.inputs.find((x) => !isWeight(x));
  const isWide = (x: Tensor): boolean => isHalf(x) && elementCount(x.shape as number[]) >= smallest;
  if (awaited === undefined || !y.inputs.some(isWide)) return undefined;
  return { ...y, inputs: y.inputs.map((x) => (isWide(x) ? late(x, awaited) : x)) };
}

const isWeight = (t: Tensor): boolean => is(t, paramOp) || (is(t, permuteOp) && is(t.inputs[0]!, paramOp));

const isHalf = (t: Tensor): boolean => {
  const weight = is(t, permuteOp) ? t.inputs[0]! : t;
  return is(weight, paramOp) && weight.attrs.entry.dtype !== "F32";
};

function late(t: Tensor, awaited: Tensor): Tensor {
  return is(t, paramOp) ? apply(widenedParamOp, [awaited], t.attrs) : { ...t, inputs: [late(t.inputs[0]!, awaited)] };
}
