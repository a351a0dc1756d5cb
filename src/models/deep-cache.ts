import { namedDim } from "../graph/dim.ts";
import { toChannelsFirst, toChannelsLast } from "../graph/ops/channels.ts";
import { input } from "../graph/ops/source.ts";
import { rewriteNamed } from "../graph/rewrite.ts";
import { fixedSize, type Tensor } from "../graph/tensor.ts";
import { skipJoins } from "./skip-joins.ts";

/** A UNet in two parts, which share hardly any weight. */
export interface UNetParts {
  /** `deep` [B, H, W, C], what all layers but the outermost one give: channels last, as pictures lie between convolutions in 8 bits. */
  readonly deep: Readonly<Record<string, Tensor>>;
  /** The UNet's answer, from its own inputs and `deepFeature` [B, H, W, C]. */
  readonly outer: Readonly<Record<string, Tensor>>;
}

/**
 * Parts a UNet where DeepCache takes over what the deeper layers said at an earlier step: before the last upward layer, which beside
 * that sees the first convolution of the new latents. Ma et al. 2023 (arXiv 2312.00858), section 3.2, with the outermost skip branch.
 * @param outputs `noise`, the output of {@link unet}, and others, each of which goes to the part that computes it
 * @see horseee/DeepCache 62aef9e DeepCache/extension/deepcache.py, cache_branch_id 0
 */
export function deepCacheParts(outputs: Readonly<Record<string, Tensor>>): UNetParts {
  const outermost = skipJoins(Object.values(outputs)).at(-1);
  if (outermost === undefined) throw new Error("no layer of this graph joins a skip connection");
  const [below, skip] = outermost.inputs as [Tensor, Tensor];
  const [batch, height, width] = ["batch", "height", "width"].map(namedDim) as [never, never, never];
  const deepFeature = toChannelsFirst(input("deepFeature", [batch, height, width, fixedSize(below, 1)]));
  const above = rewriteNamed(outputs, (t) => (t === outermost ? { ...t, inputs: [deepFeature, skip] } : undefined));
  const isAbove = ([name]: [string, Tensor]): boolean => above[name] !== outputs[name];
  const others = Object.entries(outputs).filter((output) => !isAbove(output));
  return {
    deep: { deep: toChannelsLast(below), ...Object.fromEntries(others) },
    outer: Object.fromEntries(Object.entries(above).filter(isAbove)),
  };
}
