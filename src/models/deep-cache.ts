import { namedDim } from "../graph/dim.ts";
import { weightPathOf } from "../graph/layer-weight.ts";
import { toChannelsFirst, toChannelsLast } from "../graph/ops/channels.ts";
import { concatOp } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import { rewrite } from "../graph/rewrite.ts";
import { fixedSize, is, type Tensor } from "../graph/tensor.ts";

/** A UNet in two parts, which have hardly a weight in common. */
export interface UNetParts {
  /** [B, H, W, C] what all layers but the outermost one give: channels last, as pictures lie between convolutions in 8 bits. */
  readonly deep: Tensor;
  /** The UNet's answer, from its own inputs and `deepFeature` [B, H, W, C]. */
  readonly noise: Tensor;
}

/**
 * Parts a UNet where DeepCache takes over what the deeper layers said at an earlier step: before the last upward layer, which beside
 * that sees the first convolution of the new latents. Ma et al. 2023 (arXiv 2312.00858), section 3.2, with the outermost skip branch.
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
