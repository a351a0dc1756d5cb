import { type Dim, sameDim } from "../graph/dim.ts";
import { weightPathOf } from "../graph/layer-weight.ts";
import { conv2dOp } from "../graph/ops/convolution.ts";
import { everyNth } from "../graph/ops/every-nth.ts";
import { reshape } from "../graph/ops/layout.ts";
import { layerNormOp } from "../graph/ops/normalise.ts";
import { type Rule, rewrite } from "../graph/rewrite.ts";
import { apply, is, size, type Tensor } from "../graph/tensor.ts";

/** Height and width of the picture whose pixels are a transformer's rows. */
type PictureSize = readonly [Dim, Dim];

const PROJ_IN = /^(.*\.attentions\.\d+)\.proj_in\.weight$/;
const KEY_OR_VALUE = /^(.*\.attentions\.\d+)\..*\.attn1\.to_[kv]\.weight$/;

/**
 * Downsamples the tokens of self-attention in the largest level that has attention: keys and values come from every `factor`-th pixel down
 * and across only, queries from all pixels. Smith, Saxena and Saha 2024 (arXiv 2402.13573), section 3.
 * @param noise the output of {@link unet}
 * @param factor an integer; 1 changes nothing
 * @see ethansmith2000/ImprovedTokenMerge, downsample_factor_level_1
 */
export const downsampleTokens = (noise: Tensor, factor: number): Tensor => rewrite([noise], tokenDownsamplingRule(factor))[0]!;

/** {@link downsampleTokens} as a rule, for one rewriting. */
export function tokenDownsamplingRule(factor: number): Rule {
  const pictureSizes = new Map<string, PictureSize>();
  const fewer = new Map<Tensor, Tensor>();
  return (t) => {
    if (factor === 1) return undefined;
    const path = weightPathOf(t) ?? "";
    const [, entered] = PROJ_IN.exec(path) ?? [];
    if (entered !== undefined) pictureSizes.set(entered, pictureSizeOf(t));
    const [, transformer] = KEY_OR_VALUE.exec(path) ?? [];
    if (transformer === undefined) return undefined;
    const [[height, width], [largestHeight, largestWidth]] = [pictureSizes.get(transformer)!, [...pictureSizes.values()][0]!];
    if (!sameDim(height, largestHeight) || !sameDim(width, largestWidth)) return undefined;
    const [x, ...weights] = t.inputs as [Tensor, ...Tensor[]];
    if (!fewer.has(x)) fewer.set(x, everyPixel(x, [height, width], factor));
    return apply(t.op, [fewer.get(x)!, ...weights], t.attrs);
  };
}

/** Height and width at a transformer's first layer: a convolution of the picture, or a linear layer of its rows. */
function pictureSizeOf(t: Tensor): PictureSize {
  if (is(t, conv2dOp)) return [size(t, 2), size(t, 3)];
  const channelsLast = t.inputs[0]!.inputs[0]!;
  return [size(channelsLast, 1), size(channelsLast, 2)];
}

/** Every `factor`-th row of x down and across. A norm is taken of the fewer rows, so that its result is still that of a norm. */
function everyPixel(x: Tensor, [height, width]: PictureSize, factor: number): Tensor {
  if (is(x, layerNormOp)) {
    const [before, ...weights] = x.inputs as [Tensor, ...Tensor[]];
    return apply(x.op, [everyPixel(before, [height, width], factor), ...weights], x.attrs);
  }
  const [batch, , channels] = x.shape as [Dim, Dim, Dim];
  const pixels = reshape(x, [batch, height, width, channels]);
  return reshape(everyNth(everyNth(pixels, 1, factor), 2, factor), [batch, -1, channels]);
}
