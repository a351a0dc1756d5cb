import { namedDim } from "../graph/dim.ts";
import { weightPathOf } from "../graph/layer-weight.ts";
import { toChannelsFirst, toChannelsLast } from "../graph/ops/channels.ts";
import { concatOp } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import { rewrite } from "../graph/rewrite.ts";
import { fixedSize, is, type Tensor } from "../graph/tensor.ts";

/** A UNet in two parts, which share hardly any weight. */
export interface UNetParts {
  /** Output of all layers but the outermost [B, H, W, C]: channels last, as between quantised convolutions. */
  readonly deep: Tensor;
  /** The predicted noise, computed from the UNet's own inputs and `deepFeature` [B, H, W, C]. */
  readonly noise: Tensor;
}

/**
 * Splits a UNet where DeepCache inserts the deep feature of an earlier step: before the last layer of the way up, whose other input is the first
 * convolution of the current latents. Ma et al. 2023 (arXiv 2312.00858), section 3.2, with the outermost skip branch.
 *
 *     latents -> conv_in --------------- skip --------------> concat -> last up layer -> noise
 *                   `-> all deeper layers -> deep | deepFeature ->'
 *
 * @param noise the output of {@link unet}
 * @see horseee/DeepCache 62aef9e DeepCache/extension/deepcache.py, cache_branch_id 0
 */
export function deepCacheParts(noise: Tensor): UNetParts {
  let deep: Tensor | undefined;
  const [outer] = rewrite([noise], (t) => {
    const [below, skip] = t.inputs;
    if (!is(t, concatOp) || weightPathOf(skip!) !== "conv_in.weight") return undefined;
    deep = toChannelsLast(below!);
    const [batch, height, width] = ["batch", "height", "width"].map(namedDim) as [never, never, never];
    return { ...t, inputs: [toChannelsFirst(input("deepFeature", [batch, height, width, fixedSize(below!, 1)])), skip!] };
  });
  if (deep === undefined) throw new Error("no layer of this graph joins the first convolution's output");
  return { deep, noise: outer! };
}
