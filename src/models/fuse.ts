import { gelu } from "../graph/ops/activation.ts";
import { add } from "../graph/ops/elementwise.ts";
import { concat } from "../graph/ops/layout.ts";
import { fixedSize, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { layerNorm, linear } from "../nn/layers.ts";

/** LayerNorm, linear, exact GELU, linear. */
function mlp(x: Tensor, w: Weights, out: number): Tensor {
  return linear(gelu(linear(layerNorm(x, w.at("layernorm")), w.at("fc1"), { out })), w.at("fc2"), { out });
}

/**
 * Fuses the class word's embedding with ID tokens: PhotoMaker (arXiv 2312.04461) section 3.2, equation 1;
 * TencentARC/PhotoMaker 060b4fc photomaker/model.py FuseModule.
 * @param classEmbeds [M, D] the class word's text embedding, at each position that an ID token takes
 * @param idTokens [M, D]
 * @param w at `fuse_module`
 * @returns [M, D] the stacked ID embedding
 */
export function fuse(classEmbeds: Tensor, idTokens: Tensor, w: Weights): Tensor {
  const out = fixedSize(classEmbeds, -1);
  const joined = add(mlp(concat([classEmbeds, idTokens], -1), w.at("mlp1"), out), classEmbeds);
  return layerNorm(add(mlp(joined, w.at("mlp2"), out), joined), w.at("layer_norm"));
}
