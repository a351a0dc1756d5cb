import { divideDims, mulDims } from "../dim.ts";
import { apply, type Op, shapeText, type Tensor } from "../tensor.ts";
import { mul } from "./elementwise.ts";

export const upsampleOp: Op<{ factor: number }> = {
  name: "upsample",
  shape: ([x], { factor }) => {
    const [b, c, h, w] = x!.shape;
    return [b!, c!, mulDims(h!, factor), mulDims(w!, factor)];
  },
  gradient: (dy, { attrs: { factor } }) => [() => mul(averagePool(dy, factor), factor * factor)],
};
/** Nearest-neighbour enlargement of [B, C, H, W] by a whole factor. */
export const upsample = (x: Tensor, factor: number): Tensor => apply(upsampleOp, [x], { factor });

export const averagePoolOp: Op<{ factor: number }> = {
  name: "averagePool",
  shape: ([x], { factor }) => {
    const [b, c, h, w] = x!.shape;
    const [rows, columns] = [divideDims(h!, factor), divideDims(w!, factor)];
    if (rows === undefined || columns === undefined)
      throw new TypeError(`${shapeText(x!.shape)} does not divide into blocks of side ${factor}`);
    return [b!, c!, rows, columns];
  },
  gradient: (dy, { attrs: { factor } }) => [() => mul(upsample(dy, factor), 1 / (factor * factor))],
};
/** Mean of each block of factor x factor pixels of [B, C, H, W]. */
export const averagePool = (x: Tensor, factor: number): Tensor => apply(averagePoolOp, [x], { factor });
