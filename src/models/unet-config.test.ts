import { expect, test } from "vitest";
import { Recorder } from "../graph/recorder.ts";
import { Weights } from "../graph/weights.ts";
import { clipTextConfig } from "./clip-text-config.ts";
import { unet, unetInputs } from "./unet.ts";
import { unetConfig } from "./unet-config.ts";
import { vaeConfig } from "./vae-config.ts";

const CONFIG = {
  block_out_channels: [16, 24, 24, 32],
  down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"],
  layers_per_block: 1,
  transformer_layers_per_block: [2, 1, 1, 1],
  attention_head_dim: [2, 3, 6, 8],
  norm_num_groups: 8,
  cross_attention_dim: 32,
  addition_embed_type: "text_time",
  addition_time_embed_dim: 8,
  projection_class_embeddings_input_dim: 76,
};

function recorded(json: unknown): Recorder {
  const config = unetConfig(json, new Map());
  const recorder = new Recorder();
  unet(unetInputs(config), new Weights(recorder), config);
  return recorder;
}

test("the middle block has attention even where its level has none on the way down, as in diffusers 0.35.2", () => {
  const { params } = recorded(CONFIG);
  expect(params.has("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight")).toBe(true);
  expect(params.size).toBe(428);
  const parameters = [...params.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  expect(parameters).toBe(392_100);
});

test("the way up may have attention at other levels than the way down", () => {
  const { params } = recorded({ ...CONFIG, up_block_types: ["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"] });
  const levels = new Set([...params.keys()].flatMap((name) => /^up_blocks\.(\d)\.attentions/.exec(name)?.[1] ?? []));
  expect(levels).toEqual(new Set(["0"]));
});

test.each([
  ["layers_per_block", [1, 1, 2, 2]],
  ["cross_attention_dim", [32, 32, 32, 16]],
])("a field that would change the network is refused: %s", (field, value) => {
  expect(() => recorded({ ...CONFIG, [field]: value })).toThrow(
    expect.objectContaining({ code: "model/config", message: expect.stringContaining(field) }),
  );
});

test.each<[string, unknown]>([
  ["norm_num_groups", 7],
  ["attention_head_dim", 5],
  ["attention_head_dim", [2, 3]],
  ["down_block_types", []],
  ["up_block_types", ["UpBlock2D"]],
  ["transformer_layers_per_block", []],
  ["reverse_transformer_layers_per_block", [1]],
  ["layers_per_block", 1e9],
  ["block_out_channels", Array(2000).fill(16)],
])("a UNet's config with a field that fits no other is refused by it: %s", (field, value) => {
  expect(() => recorded({ ...CONFIG, [field]: value })).toThrow(
    expect.objectContaining({ code: "model/config", message: expect.stringContaining(`of unet is not supported: ${field}: `) }),
  );
});

test("the configs of VAE and text encoder too", () => {
  const refusal = (field: string) => expect.objectContaining({ code: "model/config", message: expect.stringContaining(field) });
  expect(() => vaeConfig({ block_out_channels: [16, 24], norm_num_groups: 3 }, new Map())).toThrow(refusal("norm_num_groups"));
  expect(() => vaeConfig({ block_out_channels: [16, 24], norm_num_groups: 8, layers_per_block: 1e9 }, new Map())).toThrow(
    refusal("layers_per_block"),
  );
  expect(() => clipTextConfig({ hidden_size: 16, num_attention_heads: 3 }, new Map(), "text_encoder")).toThrow(
    refusal("num_attention_heads"),
  );
});

test("SSD-1B's depths are each block's own, and its middle is one residual block", () => {
  const { params } = recorded({
    ...CONFIG,
    transformer_layers_per_block: [2, 1, 3, 1],
    reverse_transformer_layers_per_block: [1, [3, 1], 1, [1, 2]],
    mid_block_type: "UNetMidBlock2D",
  });
  const blocks = (prefix: string) =>
    [...params.keys()].filter(
      (name) => name.startsWith(prefix) && name.endsWith(".norm1.weight") && name.includes("transformer_blocks"),
    ).length;
  expect(["up_blocks.1.attentions.0.", "up_blocks.1.attentions.1."].map(blocks)).toEqual([3, 1]);
  expect(["up_blocks.3.attentions.0.", "up_blocks.3.attentions.1.", "mid_block."].map(blocks)).toEqual([1, 2, 0]);
  expect([...params.keys()].some((name) => name.startsWith("mid_block.resnets.1."))).toBe(false);
});
