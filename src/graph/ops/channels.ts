import type { Dim } from "../dim.ts";
import { fixedSize, is, size, type Tensor } from "../tensor.ts";
import { permute, permuteOp } from "./layout.ts";

/** The order of a picture's axes: channels first is [B, C, H, W], as models are written, channels last [B, H, W, C]. */
export type Layout = "channelsFirst" | "channelsLast";

const TO_FIRST = [0, 3, 1, 2];
const TO_LAST = [0, 2, 3, 1];

export const toChannelsFirst = (x: Tensor): Tensor => permute(x, TO_FIRST);
export const toChannelsLast = (x: Tensor): Tensor => channelsLastOf(x) ?? permute(x, TO_LAST);

/** The input of `x`, if `x` is a transpose into this order of axes. */
const before = (x: Tensor, order: readonly number[]): Tensor | undefined =>
  is(x, permuteOp) && x.attrs.order.join() === order.join() ? x.inputs[0] : undefined;
/** The channels-last picture that `x` is the transpose of, if it is one. */
export const channelsLastOf = (x: Tensor): Tensor | undefined => before(x, TO_FIRST);
/** The channels-first picture that `x` is the transpose of, if it is one. */
export const channelsFirstOf = (x: Tensor): Tensor | undefined => before(x, TO_LAST);

export interface Pixels {
  readonly batch: Dim;
  readonly height: Dim;
  readonly width: Dim;
  readonly channels: number;
}

/** Sizes of a picture. */
export function pixelsOf(x: Tensor, layout: Layout): Pixels {
  const [channels, height, width] = layout === "channelsFirst" ? [1, 2, 3] : [3, 1, 2];
  return { batch: size(x, 0), height: size(x, height!), width: size(x, width!), channels: fixedSize(x, channels!) };
}
