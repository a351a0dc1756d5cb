import { add, div, mul, relu, sqrt, sub } from "../../graph/ops/elementwise.ts";
import { gather } from "../../graph/ops/gather.ts";
import { reduceSum } from "../../graph/ops/layout.ts";
import { maxPool } from "../../graph/ops/max-pool.ts";
import { reduceMean } from "../../graph/ops/reduce.ts";
import { constant } from "../../graph/ops/source.ts";
import type { Tensor } from "../../graph/tensor.ts";
import type { Weights } from "../../graph/weights.ts";
import { conv2d } from "../../nn/layers.ts";
import type { LpipsConfig } from "./lpips-config.ts";

/** Beside the root, as in the authors' package. */
const EPS = 1e-10;
const SHIFT = [-0.03, -0.088, -0.188];
const SCALE = [0.458, 0.448, 0.45];

/**
 * Maps behind the five ReLUs that LPIPS compares.
 * @param pixels [B, 3, H, W] in [-1, 1]
 * @param w `features` of torchvision's AlexNet or VGG-16
 */
export function lpipsMaps(pixels: Tensor, w: Weights, { layers, widths }: LpipsConfig): Tensor[] {
  const perChannel = (values: readonly number[]): Tensor => constant(values, [1, 3, 1, 1]);
  let x = div(sub(pixels, perChannel(SHIFT)), perChannel(SCALE));
  const maps: Tensor[] = [];
  for (const layer of layers) {
    if ("pool" in layer) {
      x = maxPool(x, layer.pool, 2);
      continue;
    }
    const { at, tap, ...conv } = layer;
    x = relu(conv2d(x, w.at(at), { ...conv, out: widths[at]! }));
    if (tap) maps.push(x);
  }
  return maps;
}

/**
 * LPIPS, the distance of pictures as people see it: Zhang et al. 2018 (arXiv 1801.03924), version 0.1. A picture's maps are computed once, however many pairs
 * it is in.
 * @param pixels [B, 3, H, W] in [-1, 1]: of [0, 1] the distances are others
 * @param pairs places of the two pictures of each pair in the batch, [P] i64 each
 * @param trunk `features` of the network; `lin` the package's five weights of channels
 * @returns [P]
 */
export function lpips(
  pixels: Tensor,
  [first, second]: readonly [Tensor, Tensor],
  { trunk, lin }: { readonly trunk: Weights; readonly lin: Weights },
  config: LpipsConfig,
): Tensor {
  const distances = lpipsMaps(pixels, trunk, config).map((map, i) => {
    const normal = div(map, add(sqrt(reduceSum(mul(map, map), [1], true)), EPS));
    const apart = sub(gather(normal, first), gather(normal, second));
    const channels = config.taps[i]!;
    const weight = lin.at(`lin${i}`, "model", 1).get("weight", [1, channels, 1, 1]);
    return reduceMean(reduceSum(mul(mul(apart, apart), weight), [1]), [1, 2]);
  });
  return distances.reduce(add);
}
