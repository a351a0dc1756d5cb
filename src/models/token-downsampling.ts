import { type Dim, sameDim } from "../graph/dim.ts";
import { weightPathOf } from "../graph/layer-weight.ts";
import { conv2dOp } from "../graph/ops/convolution.ts";
import { every } from "../graph/ops/every.ts";
import { reshape } from "../graph/ops/layout.ts";
import { layerNormOp } from "../graph/ops/normalise.ts";
import { type Rule, rewrite } from "../graph/rewrite.ts";
import { apply, is, size, type Tensor } from "../graph/tensor.ts";

/** Height and width of the picture whose pixels a transformer has as rows. */
type Side = readonly [Dim, Dim];

const PROJ_IN = /^(.*\.attentions\.\d+)\.proj_in\.weight$/;
const KEY_OR_VALUE = /^(.*\.attentions\.\d+)\..*\.attn1\.to_[kv]\.weight$/;

/**
 * Lets the pixels of the largest level that has attention look at every `factor`-th pixel of every `factor`-th row alone: keys and values of
 * its self-attention are made of these, queries of all. Smith, Saxena and Saha 2024 (arXiv 2402.13573), section 3.
 * @param noise the output of {@link unet}
 * @param factor a whole number; 1 changes nothing
 * @see ethansmith2000/ImprovedTokenMerge, downsample_factor_level_1
 */
export const downsampleTokens = (noise: Tensor, factor: number): Tensor => rewrite([noise], tokenDownsampling(factor))[0]!;

/** {@link downsampleTokens} as a rule, for one rewriting. */
export function tokenDownsampling(factor: number): Rule {
  const sides = new Map<string, Side>();
  const fewer = new Map<Tensor, Tensor>();
  return (t) => {
    if (factor === 1) return undefined;
    const path = weightPathOf(t) ?? "";
    const [, entered] = PROJ_IN.exec(path) ?? [];
    if (entered !== undefined) sides.set(entered, sideOf(t));
    const [, transformer] = KEY_OR_VALUE.exec(path) ?? [];
    if (transformer === undefined) return undefined;
    const [[height, width], [largestHeight, largestWidth]] = [sides.get(transformer)!, [...sides.values()][0]!];
    if (!sameDim(height, largestHeight) || !sameDim(width, largestWidth)) return undefined;
    const [x, ...weights] = t.inputs as [Tensor, ...Tensor[]];
    if (!fewer.has(x)) fewer.set(x, everyPixel(x, [height, width], factor));
    return apply(t.op, [fewer.get(x)!, ...weights], t.attrs);
  };
}

/** Of a transformer's first layer, a convolution of the picture or a matrix for its rows. */
function sideOf(t: Tensor): Side {
  if (is(t, conv2dOp)) return [size(t, 2), size(t, 3)];
  const channelsLast = t.inputs[0]!.inputs[0]!;
  return [size(channelsLast, 1), size(channelsLast, 2)];
}

/** A norm of rows is one of fewer rows as well: then what follows still is that of a norm. */
function everyPixel(x: Tensor, [height, width]: Side, factor: number): Tensor {
  if (is(x, layerNormOp)) {
    const [before, ...weights] = x.inputs as [Tensor, ...Tensor[]];
    return apply(x.op, [everyPixel(before, [height, width], factor), ...weights], x.attrs);
  }
  const [batch, , channels] = x.shape as [Dim, Dim, Dim];
  const pixels = reshape(x, [batch, height, width, channels]);
  return reshape(every(every(pixels, 1, factor), 2, factor), [batch, -1, channels]);
}
