import { type Dim, divideDims, mulDims } from "../dim.ts";
import { apply, fixedSize, type Op, shapeText, type Tensor } from "../tensor.ts";
import { mul } from "./elementwise.ts";
import { matmul } from "./matrix.ts";
import { constant } from "./source.ts";

export const upsampleOp: Op<{ factor: number }> = {
  name: "upsample",
  shape: ([x], { factor }) => {
    const [b, c, h, w] = x!.shape;
    return [b!, c!, mulDims(h!, factor), mulDims(w!, factor)];
  },
  gradient: (dy, { attrs: { factor } }) => [() => mul(averagePool(dy, factor), factor * factor)],
};
/** Nearest-neighbour upsampling of [B, C, H, W] by a whole factor. */
export const upsample = (x: Tensor, factor: number): Tensor => apply(upsampleOp, [x], { factor });

/** Bilinear upsampling, pixels being squares: the outermost stand for what lies beyond them. */
export const upsampleBilinearOp: Op<{ factor: number }> = {
  name: "upsampleBilinear",
  shape: upsampleOp.shape,
  /** A product with the weights of each axis. */
  expand: ([x], { factor }) => {
    const [rows, columns] = [fixedSize(x!, 2), fixedSize(x!, 3)];
    return matmul(matmul(bilinearWeights(rows, factor), x!), bilinearWeights(columns, factor), { transB: true });
  },
};
/** Bilinear upsampling of [B, C, H, W] by a whole factor. */
export const upsampleBilinear = (x: Tensor, factor: number): Tensor => apply(upsampleBilinearOp, [x], { factor });

/** [count · factor, count]: the shares of the given pixels in each new one. */
function bilinearWeights(count: number, factor: number): Tensor {
  const weights = Array<number>(count * factor * count).fill(0);
  for (let i = 0; i < count * factor; i++) {
    const at = Math.min(Math.max((i + 0.5) / factor - 0.5, 0), count - 1);
    const before = Math.floor(at);
    const after = Math.min(before + 1, count - 1);
    weights[i * count + before]! += 1 - (at - before);
    weights[i * count + after]! += at - before;
  }
  return constant(weights, [count * factor, count]);
}

/** The number of blocks of factor x factor pixels down and across. */
function blocks({ shape }: Tensor, factor: number): [Dim, Dim] {
  const [rows, columns] = [divideDims(shape[2]!, factor), divideDims(shape[3]!, factor)];
  if (rows === undefined || columns === undefined)
    throw new TypeError(`${shapeText(shape)} does not divide into blocks of side ${factor}`);
  return [rows, columns];
}

export const averagePoolOp: Op<{ factor: number }> = {
  name: "averagePool",
  shape: ([x], { factor }) => {
    const [b, c] = x!.shape;
    return [b!, c!, ...blocks(x!, factor)];
  },
  gradient: (dy, { attrs: { factor } }) => [() => mul(upsample(dy, factor), 1 / (factor * factor))],
};
/** Mean of each block of factor x factor pixels of [B, C, H, W]. */
export const averagePool = (x: Tensor, factor: number): Tensor => apply(averagePoolOp, [x], { factor });

/** [B, C, H, W] → [B, factor² · C, H / factor, W / factor]: each position within a block of factor x factor pixels gets its own channels. */
export const spaceToDepthOp: Op<{ factor: number }> = {
  name: "spaceToDepth",
  shape: ([x], { factor }) => {
    const [b, c] = x!.shape;
    return [b!, mulDims(c!, factor * factor), ...blocks(x!, factor)];
  },
  gradient: (dy, { attrs: { factor } }) => [() => depthToSpace(dy, factor)],
};
export const spaceToDepth = (x: Tensor, factor: number): Tensor => apply(spaceToDepthOp, [x], { factor });

/** The inverse of spaceToDepth. */
export const depthToSpaceOp: Op<{ factor: number }> = {
  name: "depthToSpace",
  shape: ([x], { factor }) => {
    const [b, c, h, w] = x!.shape;
    const channels = divideDims(c!, factor * factor);
    if (channels === undefined) throw new TypeError(`${shapeText(x!.shape)} has no ${factor * factor} parts`);
    return [b!, channels, mulDims(h!, factor), mulDims(w!, factor)];
  },
  gradient: (dy, { attrs: { factor } }) => [() => spaceToDepth(dy, factor)],
};
export const depthToSpace = (x: Tensor, factor: number): Tensor => apply(depthToSpaceOp, [x], { factor });
