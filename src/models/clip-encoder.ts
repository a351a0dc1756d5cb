import { gelu, quickGelu } from "../graph/ops/activation.ts";
import { attention } from "../graph/ops/attention.ts";
import { add } from "../graph/ops/elementwise.ts";
import { fixedSize, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";
import { layerNorm, linear } from "../nn/layers.ts";

/** Settings that CLIP's text and vision transformers share. */
export interface ClipEncoderConfig {
  readonly layers: number;
  readonly heads: number;
  readonly mlp: number;
  readonly activation: "gelu" | "quick_gelu";
  readonly eps: number;
}

/**
 * The transformer of CLIP: Radford et al. 2021 (arXiv 2103.00020).
 * @param x [B, S, C]
 * @param w keys as in transformers' CLIPEncoder: layers.N.{layer_norm1, self_attn, layer_norm2, mlp}
 * @returns the input and the result of each layer, [B, S, C] each: transformers' `hidden_states`
 */
export function clipEncoder(x: Tensor, w: Weights, config: ClipEncoderConfig, causal: boolean): Tensor[] {
  const width = fixedSize(x, -1);
  const activate = config.activation === "gelu" ? gelu : quickGelu;
  const states = [x];
  for (let i = 0; i < config.layers; i++) {
    const at = w.at("layers", i);
    const self = at.at("self_attn");
    const normal = layerNorm(x, at.at("layer_norm1"), config);
    const [q, k, v] = ["q_proj", "k_proj", "v_proj"].map((key) => linear(normal, self.at(key), { out: width }));
    x = add(x, linear(attention(q!, k!, v!, { heads: config.heads, causal }), self.at("out_proj"), { out: width }));
    const h = activate(linear(layerNorm(x, at.at("layer_norm2"), config), at.at("mlp", "fc1"), { out: config.mlp }));
    x = add(x, linear(h, at.at("mlp", "fc2"), { out: width }));
    states.push(x);
  }
  return states;
}
