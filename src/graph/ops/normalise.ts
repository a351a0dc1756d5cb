import { mulDims } from "../dim.ts";
import { inOrder } from "../rewrite.ts";
import { apply, expansion, fixedSize, is, type Op, type Shape, shapeText, size, type Tensor } from "../tensor.ts";
import { add, exp, mul, sub } from "./elementwise.ts";
import { reduceSum, reshape } from "./layout.ts";
import { matmul } from "./matrix.ts";

const scaled = (name: string, axis: number) => (inputs: readonly Tensor[]) => {
  const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor];
  const channels = fixedSize(x, axis);
  for (const t of [weight, bias])
    if (t.shape.length !== 1 || t.shape[0] !== channels)
      throw new TypeError(`${name}: ${shapeText(t.shape)} does not scale ${shapeText(x.shape)}`);
  return x.shape;
};

/** (x - mean) / sqrt(variance + eps) over the last axis. The gradients below use it. */
export const normaliseOp: Op<{ eps: number }> = { name: "normalise", shape: ([x]) => x!.shape };
const normalise = (x: Tensor, eps: number): Tensor => apply(normaliseOp, [x], { eps });

/** 1 / sqrt(variance + eps) for the input of `normalise`, given its result: [..., 1]. */
export const invStdDevOp: Op = { name: "invStdDev", shape: ([normal]) => [...normal!.shape.slice(0, -1), 1] };
const invStdDev = (normal: Tensor): Tensor => apply(invStdDevOp, [normal], {});

/** x · scale + shift for x [N, C, L], scale and shift [C]. */
export const scaleShiftOp: Op = {
  name: "scaleShift",
  shape: ([x]) => x!.shape,
  expand: ([x, scale, shift]) => {
    const perChannel = (t: Tensor): Tensor => reshape(t, [size(t, 0), 1]);
    return add(mul(x!, perChannel(scale!)), perChannel(shift!));
  },
};
export const scaleShift = (x: Tensor, scale: Tensor, shift: Tensor): Tensor => apply(scaleShiftOp, [x, scale, shift], {});

/** The normalised values inside the expansion of a norm. */
function normalised(y: Tensor): Tensor {
  const found = inOrder([expansion(y)], new Set(y.inputs)).find((t) => is(t, normaliseOp));
  if (found === undefined) throw new TypeError(`the expansion of "${y.op.name}" does not normalise`);
  return found;
}

/** Layer norm over the last axis: Ba et al. 2016 (arXiv 1607.06450). */
export const layerNormOp: Op<{ eps: number }> = {
  name: "layerNorm",
  shape: scaled("layerNorm", -1),
  expand: ([x, weight, bias], { eps }) => {
    const rows = reshape(x!, [mulDims(...x!.shape.slice(0, -1)), fixedSize(x!, -1)]);
    return reshape(add(mul(normalise(rows, eps), weight!), bias!), x!.shape);
  },
  gradient: (dy, y) => {
    const [x, weight] = y.inputs as [Tensor, Tensor];
    const normal = normalised(y);
    const [rows, width] = [size(normal, 0), fixedSize(normal, 1)];
    const d = reshape(dy, [rows, width]);
    const product = mul(d, normal);
    return [
      () => {
        // inv · (g - mean(g) - normal · mean(g · normal)) for g = dy · weight
        const inv = invStdDev(normal);
        const column = reshape(weight, [width, 1]);
        const perRow = (t: Tensor): Tensor => reshape(mul(matmul(t, column, { scale: -1 / width }), inv), [rows]);
        const rest = reshape(scaleShift(reshape(normal, [1, rows, width]), perRow(product), perRow(d)), [rows, width]);
        return reshape(add(mul(mul(d, weight), inv), rest), x.shape);
      },
      () => reduceSum(product, [0]),
      () => reduceSum(d, [0]),
    ];
  },
};
export const layerNorm = (x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor =>
  apply(layerNormOp, [x, weight, bias], { eps });

const groupShape = scaled("groupNorm", 1);
/** Group norm: Wu and He 2018 (arXiv 1803.08494). x [B, C, …] is normalised in groups of neighbouring channels. */
export const groupNormOp: Op<{ groups: number; eps: number }> = {
  name: "groupNorm",
  shape: (inputs, { groups }) => {
    const channels = fixedSize(inputs[0]!, 1);
    if (channels % groups !== 0) throw new TypeError(`groupNorm: ${channels} channels in ${groups} groups`);
    return groupShape(inputs);
  },
  expand: ([x, weight, bias], { groups, eps }) => {
    const [batch, channels, area] = [size(x!, 0), fixedSize(x!, 1), mulDims(...x!.shape.slice(2))];
    const normal = normalise(reshape(x!, [batch, groups, mulDims(channels / groups, area)]), eps);
    return reshape(scaleShift(reshape(normal, [batch, channels, area]), weight!, bias!), x!.shape);
  },
  gradient: (dy, y) => {
    const [x, weight] = y.inputs as [Tensor, Tensor];
    const { groups } = y.attrs;
    const channels = fixedSize(x, 1);
    const batch = size(x, 0);
    const area = mulDims(...x.shape.slice(2));
    const inGroup = channels / groups;
    const normal = normalised(y);
    const planes: Shape = [mulDims(batch, channels), area];
    const d = reshape(dy, planes);
    // sums over pixels are made once, for each channel of each sample
    const total = reshape(reduceSum(d, [1]), [batch, channels]);
    const product = reshape(reduceSum(mul(d, reshape(normal, planes)), [1]), [batch, channels]);
    return [
      () => {
        // inv · (g - mean(g) - normal · mean(g · normal)) for g = dy · weight
        const count = mulDims(inGroup, area);
        if (typeof count !== "number") throw new TypeError("the gradient of groupNorm needs fixed sizes");
        const inv = invStdDev(normal);
        const part = mul(inv, -1 / count);
        const perGroup = (t: Tensor): Tensor => {
          const mean = reduceSum(reshape(mul(t, weight), [batch, groups, inGroup]), [2], true);
          return reshape(mul(mean, part), [mulDims(batch, groups)]);
        };
        const rows: Shape = [1, mulDims(batch, groups), count];
        const rest = scaleShift(reshape(normal, rows), perGroup(product), perGroup(total));
        const factor = reshape(mul(reshape(weight, [1, groups, inGroup]), inv), [planes[0]!, 1]);
        return reshape(add(mul(d, factor), reshape(rest, planes)), x.shape);
      },
      () => reduceSum(product, [0]),
      () => reduceSum(total, [0]),
    ];
  },
};
export const groupNorm = (x: Tensor, weight: Tensor, bias: Tensor, groups: number, eps: number): Tensor =>
  apply(groupNormOp, [x, weight, bias], { groups, eps });

export const softmaxOp: Op = {
  name: "softmax",
  shape: ([x]) => x!.shape,
  gradient: (dy, y) => {
    const product = mul(dy, y);
    return [() => sub(product, mul(y, reduceSum(product, [-1], true)))];
  },
};
/** Softmax over the last axis. */
export const softmax = (x: Tensor): Tensor => apply(softmaxOp, [x], {});

export const logSoftmaxOp: Op = {
  name: "logSoftmax",
  shape: ([x]) => x!.shape,
  gradient: (dy, y) => [() => sub(dy, mul(exp(y), reduceSum(dy, [-1], true)))],
};
/** Logarithm of the softmax over the last axis. */
export const logSoftmax = (x: Tensor): Tensor => apply(logSoftmaxOp, [x], {});
