import { siluOp } from "./ops/activation.ts";
import { channelsFirstOf, channelsLastOf, toChannelsFirst, toChannelsLast } from "./ops/channels.ts";
import { type ConvAttrs, conv2dOp } from "./ops/convolution.ts";
import { add, addOp, div, mul, relu, sqrt, sub } from "./ops/elementwise.ts";
import { concat, concatOp, reshape } from "./ops/layout.ts";
import { linear } from "./ops/matrix.ts";
import { groupNormOp } from "./ops/normalise.ts";
import { quantisedConvOp, quantisedUpsampledConvOp } from "./ops/quantised.ts";
import { reduceMean } from "./ops/reduce.ts";
import { paramOp } from "./ops/source.ts";
import type { Rule } from "./rewrite.ts";
import { apply, fixedSize, is, sameShape, size, type Tensor } from "./tensor.ts";

const LAST = "channelsLast";

/**
 * Moves a transpose to channels first behind the operations that follow it, where they give the same on either layout. The transposes between
 * quantised convolutions, which take and give pictures channels last, then cancel out.
 */
export const channelsLast: Rule = (y) => {
  const x = y.inputs[0] && channelsLastOf(y.inputs[0]);
  if (y.op === addOp) return sum(y);
  if (is(y, concatOp) && y.attrs.axis === 1 && y.inputs.some((t) => channelsLastOf(t) !== undefined))
    return toChannelsFirst(concat(y.inputs.map(toChannelsLast), 3));
  if (x === undefined) return undefined;
  const rest = y.inputs.slice(1);
  if (is(y, quantisedConvOp)) return apply(quantisedConvOp, [x, ...rest], { ...y.attrs, layout: LAST });
  if (is(y, quantisedUpsampledConvOp)) return apply(quantisedUpsampledConvOp, [x, ...rest], { ...y.attrs, layout: LAST });
  if (y.op === siluOp) return toChannelsFirst(apply(siluOp, [x], {}));
  if (is(y, groupNormOp)) return toChannelsFirst(groupNormLast(x, rest[0]!, rest[1]!, y.attrs));
  if (is(y, conv2dOp)) return byPixel(x, rest, y.attrs);
  return channelsFirstOf(y) && x;
};

/** The sum of two pictures of one size, at least one of them transposed, or of a transposed picture and one shift [B, C, 1, 1] for every pixel. */
function sum({ inputs }: Tensor): Tensor | undefined {
  const [a, b] = inputs as [Tensor, Tensor];
  const [before, fits] = [channelsLastOf(a), sameShape(a.shape, b.shape)];
  if (fits && (before ?? channelsLastOf(b)) !== undefined) return toChannelsFirst(add(toChannelsLast(a), toChannelsLast(b)));
  const isShift = b.shape.length === 4 && size(b, 1) === size(a, 1) && size(b, 2) === 1 && size(b, 3) === 1;
  return before && isShift ? toChannelsFirst(add(before, reshape(b, [size(b, 0), 1, 1, size(b, 1)]))) : undefined;
}

/** A 1x1 convolution, as a linear layer over the channels. */
function byPixel(x: Tensor, [w, bias]: readonly Tensor[], { stride, pads }: ConvAttrs): Tensor | undefined {
  const fits = stride === 1 && pads.every((n) => n === 0) && size(w!, 2) === 1 && size(w!, 3) === 1;
  if (!fits || !is(w!, paramOp)) return undefined;
  return toChannelsFirst(linear(x, reshape(w, [fixedSize(w, 0), fixedSize(w, 1)]), bias));
}

/**
 * `groupNorm` of x [B, H, W, C] as one scale and shift for each channel. The means of x and of its squares are taken over the width, then the
 * height, then each group: ONNX Runtime is fast at each of these.
 */
function groupNormLast(x: Tensor, weight: Tensor, bias: Tensor, { groups, eps }: { groups: number; eps: number }): Tensor {
  const [batch, channels] = [size(x, 0), fixedSize(x, 3)];
  const inGroups = (t: Tensor): Tensor => reshape(t, [t.shape.length === 1 ? 1 : batch, groups, channels / groups]);
  const mean = (t: Tensor): Tensor => reduceMean(inGroups(reduceMean(reduceMean(t, [2]), [1])), [2], true);
  const middle = mean(x);
  const variance = relu(sub(mean(mul(x, x)), mul(middle, middle))); // rounding may take it below zero
  const deviation = sqrt(add(variance, eps));
  const scale = div(inGroups(weight), deviation);
  const shift = sub(inGroups(bias), mul(middle, scale));
  const perChannel = (t: Tensor): Tensor => reshape(t, [batch, 1, 1, channels]);
  return add(mul(x, perChannel(scale)), perChannel(shift));
}
