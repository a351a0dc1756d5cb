import { z } from "zod";
import { UserError } from "../../core/errors.ts";
import type { Tensors } from "../../weights/tensor-entry.ts";
import { countOf, only, parseConfig, refuseContradictions } from "../parse-config.ts";

export interface VitConfig {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Width of the feed-forward layer; with `gated`, of each half. */
  readonly mlp: number;
  readonly gated: boolean;
  readonly patch: number;
  /** Patches on each side of the pictures that the positions were trained for. */
  readonly grid: number;
  readonly registers: number;
  /** Whether the results of each block are scaled, as in DINOv2. */
  readonly layerScale: boolean;
  readonly eps: number;
  /** How positions are interpolated: with registers, antialiased. */
  readonly antialiased: boolean;
}

/** Fields of transformers' ViTConfig, Dinov2Config and Dinov2WithRegistersConfig that matter here; other sizes are seen in the weights. */
const schema = z.looseObject({
  model_type: z.enum(["vit", "dinov2", "dinov2_with_registers"]).optional(),
  num_attention_heads: z.int().positive().default(12),
  layer_norm_eps: z.number().positive().optional(),
  hidden_act: only("gelu"),
  qkv_bias: only(true),
});

/** All published models of the family have heads of this width. */
const HEAD_WIDTH = 64;
/** In the authors' code; transformers has 1e-12 for ViT by default. */
const EPS = 1e-6;

/**
 * Sizes of a vision transformer, from its tensors and, if there is one, its config.json.
 * @param tensors by the names of weights/vit-names.ts
 * @throws UserError model/config, network/config-needed, network/wrong-kind
 */
export function vitConfig(config: unknown, tensors: Tensors): VitConfig {
  const shape = (name: string): readonly number[] => {
    const found = tensors.get(name)?.shape;
    if (found === undefined) throw noVit(`it has no "${name}"`);
    return found;
  };
  const [, places, width] = shape("pos_embed") as [number, number, number];
  const grid = Math.sqrt(places - 1);
  if (!Number.isInteger(grid)) throw noVit(`its ${places} positions are no square and a class token`);
  const gated = tensors.has("blocks.0.mlp.w12.weight");
  const c = config === undefined ? undefined : parseConfig(schema, config, "the vision transformer");
  if (c === undefined && width % HEAD_WIDTH !== 0)
    throw new UserError(
      "network/config-needed",
      `The vision transformer is ${width} wide, which does not show its number of attention heads.`,
      "Put its config.json beside the weights, or name the folder that has both.",
    );
  const heads = c?.num_attention_heads ?? width / HEAD_WIDTH;
  refuseContradictions("the vision transformer", [
    [width % heads === 0, `num_attention_heads: ${heads} does not divide ${width}`],
  ]);
  const registers = tensors.get("register_tokens")?.shape[1] ?? 0;
  const layerScale = tensors.has("blocks.0.ls1.gamma");
  const eps = c === undefined ? EPS : (c.layer_norm_eps ?? (c.model_type === "vit" ? 1e-12 : EPS));
  return {
    width,
    layers: countOf(tensors, "blocks."),
    heads,
    mlp: gated ? shape("blocks.0.mlp.w12.weight")[0]! / 2 : shape("blocks.0.mlp.fc1.weight")[0]!,
    gated,
    patch: shape("patch_embed.proj.weight")[2]!,
    grid,
    registers,
    layerScale,
    eps,
    antialiased: registers > 0,
  };
}

const noVit = (why: string): UserError =>
  new UserError(
    "network/wrong-kind",
    `These are not the weights of a vision transformer of DINO's family: ${why}.`,
    "Give DINO's ViT-S/16 or another ViT of DINO or DINOv2: a folder of the hub, or the authors' .pth.",
  );
