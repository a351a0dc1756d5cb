import { gelu, silu } from "../../graph/ops/activation.ts";
import { attention } from "../../graph/ops/attention.ts";
import { add, mul } from "../../graph/ops/elementwise.ts";
import { broadcastTo, concat, permute, reshape, slice } from "../../graph/ops/layout.ts";
import { fixedSize, size, type Tensor } from "../../graph/tensor.ts";
import type { Weights } from "../../graph/weights.ts";
import { conv2d, layerNorm, linear } from "../../nn/layers.ts";
import type { VitConfig } from "./vit-config.ts";
import { interpolatePositions } from "./vit-positions.ts";

/**
 * The class token of DINO's vision transformers behind the final norm: Caron et al. 2021 (arXiv 2104.14294), Oquab et al. 2023 (arXiv 2304.07193),
 * Darcet et al. 2023 (arXiv 2309.16588) with registers.
 * @param pixels [B, 3, H, W], normalised; whole numbers of patches; for another size than the model's, positions are interpolated
 * @param w keys of the authors' files, with `qkv` divided: see weights/vit-names.ts
 * @returns [B, C]
 */
export function vit(pixels: Tensor, w: Weights, config: VitConfig): Tensor {
  const { width, patch, grid, registers } = config;
  const batch = size(pixels, 0);
  const [rows, columns] = [fixedSize(pixels, 2) / patch, fixedSize(pixels, 3) / patch];
  const patches = conv2d(pixels, w.at("patch_embed", "proj"), { out: width, kernel: patch, stride: patch });
  const places = w.get("pos_embed", [1, 1 + grid * grid, width]);
  const ofPatches = interpolatePositions(slice(places, 1, 1, grid * grid), grid, rows, columns, config.antialiased);
  const patchTokens = add(permute(reshape(patches, [batch, width, rows * columns]), [0, 2, 1]), ofPatches);
  const classToken = add(w.get("cls_token", [1, 1, width]), slice(places, 1, 0, 1));
  const special = registers === 0 ? [classToken] : [classToken, w.get("register_tokens", [1, registers, width])];
  let x = concat([...special.map((t) => broadcastTo(t, [batch, size(t, 1), width])), patchTokens], 1);
  for (let i = 0; i < config.layers; i++) x = block(x, w.at("blocks", i), config);
  return layerNorm(reshape(slice(x, 1, 0, 1), [batch, width]), w.at("norm"), config);
}

function block(x: Tensor, w: Weights, config: VitConfig): Tensor {
  const { width, heads, layerScale } = config;
  const scaled = (y: Tensor, name: string): Tensor => (layerScale ? mul(y, w.at(name).get("gamma", [width])) : y);
  const normal = layerNorm(x, w.at("norm1"), config);
  const attn = w.at("attn");
  const [q, k, v] = ["q", "k", "v"].map((key) => linear(normal, attn.at(key), { out: width }));
  const attended = linear(attention(q!, k!, v!, { heads, causal: false }), attn.at("proj"), { out: width });
  x = add(x, scaled(attended, "ls1"));
  return add(x, scaled(feedForward(layerNorm(x, w.at("norm2"), config), w.at("mlp"), config), "ls2"));
}

function feedForward(x: Tensor, w: Weights, { width, mlp, gated }: VitConfig): Tensor {
  if (!gated) return linear(gelu(linear(x, w.at("fc1"), { out: mlp })), w.at("fc2"), { out: width });
  const both = linear(x, w.at("w12"), { out: 2 * mlp }); // SwiGLU: Shazeer 2020 (arXiv 2002.05202)
  return linear(mul(silu(slice(both, -1, 0, mlp)), slice(both, -1, mlp, mlp)), w.at("w3"), { out: width });
}
