import { add, mul, sub } from "../graph/ops/elementwise.ts";
import { reduceSum, reshape } from "../graph/ops/layout.ts";
import { matmul } from "../graph/ops/matrix.ts";
import { fixedSize, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { fuse } from "../models/fuse.ts";

/**
 * Puts fused ID tokens into the prompts of a batch: PhotoMaker (arXiv 2312.04461), section 3.2.
 * @param context [B, T, D]
 * @param places [B, T, N], 1 where image n takes token t
 * @param tokens [B · N, D]
 * @param w weights of `fuse_module`
 */
export function stackTokens(context: Tensor, places: Tensor, tokens: Tensor, w: Weights): Tensor {
  const [batch, , images] = places.shape as [number, number, number];
  const width = fixedSize(context, -1);
  const classEmbeds = reshape(matmul(places, context, { transA: true }), [batch * images, width]);
  const fused = reshape(fuse(classEmbeds, tokens, w), [batch, images, width]);
  const others = sub(1, reduceSum(places, [2], true));
  return add(mul(context, others), matmul(places, fused));
}
