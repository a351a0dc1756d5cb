import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { type LoraLayer, matchLora } from "./lora-match.ts";
import { openAdapter } from "./open-adapter.node.ts";
import { openModel } from "./open-model.node.ts";
import { openTensors, readSafetensorsFile } from "./open-tensors.node.ts";
import { readFloats } from "./read-tensor.ts";
import { elementCount, type StoredDType, type TensorEntry, type Tensors } from "./tensor-entry.ts";

const { components } = await openModel(goldenPath("tiny-sdxl"));
const { unet, text_encoder, text_encoder_2 } = components;
const targets = { unet: unet.tensors, text_encoder: text_encoder.tensors, text_encoder_2: text_encoder_2.tensors };
const index: { cases: { file: string; keys: number; scale: number; unet_layers_with_lora: number; expected: string }[] } =
  JSON.parse(await readFile(goldenPath("lora/index.json"), "utf8"));

/** W + strength · scale · up · down, in double precision. */
async function merge(layer: LoraLayer, strength: number): Promise<Float32Array> {
  const [weight, down, up] = await Promise.all(
    [targets[layer.component].get(`${layer.path}.weight`)!, layer.down, layer.up].map((entry) => readFloats(entry)),
  );
  const rank = layer.down.shape[0]!;
  const columns = down!.length / rank;
  return weight!.map((w, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += up![row * rank + r]! * down![r * columns + column]!;
    return w + strength * layer.scale * sum;
  });
}

const COMPONENT = { te1: "text_encoder", te2: "text_encoder_2" } as const;

test.each(index.cases)("$file finds every layer and merges as PEFT does", async (golden) => {
  const file = await openTensors(goldenPath(golden.file));
  const { layers, unmatched } = await matchLora(file.tensors, targets, file.metadata);
  expect(file.tensors.size).toBe(golden.keys);
  expect(unmatched).toEqual([]);
  expect(layers.filter(({ component }) => component === "unet")).toHaveLength(golden.unet_layers_with_lora);
  const used = layers.length * (golden.file.includes("kohya") ? 3 : 2);
  expect(used).toBe(golden.keys);

  let compared = 0;
  for (const [name, expected] of await readSafetensorsFile(goldenPath(golden.expected))) {
    const [, te, path] = /^merged\.(?:(te[12])\.)?(.+)\.weight$/.exec(name) ?? [];
    if (path === undefined) continue;
    const component = te === undefined ? "unet" : COMPONENT[te as keyof typeof COMPONENT];
    const layer = layers.find((one) => one.component === component && one.path === path);
    expect(layer, name).toBeDefined();
    expect(await merge(layer!, golden.scale), name).toMatchGolden(expected.values as Float32Array, 1e-6);
    compared++;
  }
  expect(compared).toBeGreaterThanOrEqual(3);
});

test.each(["tiny-photomaker-v1.bin", "tiny-photomaker-v2.bin"])("the LoRA of %s", async (file) => {
  const { layers, unmatched } = await matchLora((await openAdapter(goldenPath(file))).lora, targets);
  expect([layers.length, unmatched]).toEqual([224, []]);
  expect(new Set(layers.map(({ scale }) => scale))).toEqual(new Set([1]));
});

/** LoRA tensors made up for a test: name to shape, or to a single value. */
function made(spec: Record<string, readonly number[] | number>, dtype: StoredDType = "F32"): Tensors {
  const entry = (name: string, value: readonly number[] | number): TensorEntry => {
    const shape = typeof value === "number" ? [] : value;
    const bytes = new Uint8Array(new Float32Array(elementCount(shape)).fill(typeof value === "number" ? value : 1).buffer);
    return { name, dtype, shape, source: { kind: "bytes", bytes } };
  };
  return new Map(Object.entries(spec).map(([name, value]) => [name, entry(name, value)]));
}

const toQ = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q";
const pair = (down: string, up: string) => made({ [down]: [4, 24], [up]: [24, 4] });

test.each([
  ["PEFT without a component", pair(`base_model.model.${toQ}.lora_A.weight`, `base_model.model.${toQ}.lora_B.weight`)],
  ["PEFT with an adapter's name", pair(`unet.${toQ}.lora_A.default.weight`, `unet.${toQ}.lora_B.default.weight`)],
  ["no prefix", pair(`${toQ}.lora.down.weight`, `${toQ}.lora.up.weight`)],
  [
    "original names with dots",
    pair(
      "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.lora_down.weight",
      "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.lora_up.weight",
    ),
  ],
  [
    "a linear layer spelled as a convolution",
    made({ [`unet.${toQ}.lora_A.weight`]: [4, 24, 1, 1], [`unet.${toQ}.lora_B.weight`]: [24, 4, 1, 1] }),
  ],
])("%s is understood", async (_, tensors) => {
  const { layers, unmatched } = await matchLora(tensors, targets);
  expect(layers).toMatchObject([{ component: "unet", path: toQ, scale: 1 }]);
  expect(unmatched).toEqual([]);
});

test("old diffusers' text encoders are understood", async () => {
  const path = "text_model.encoder.layers.0.self_attn";
  const tensors = made({
    [`text_encoder.${path}.to_out_lora.down.weight`]: [4, 16],
    [`text_encoder.${path}.to_out_lora.up.weight`]: [16, 4],
    [`text_encoder_2.${path}.q_proj.lora_linear_layer.down.weight`]: [4, 24],
    [`text_encoder_2.${path}.q_proj.lora_linear_layer.up.weight`]: [24, 4],
  });
  const { layers } = await matchLora(tensors, targets);
  expect(layers.map(({ component, path }) => `${component} ${path}`)).toEqual([
    `text_encoder ${path}.out_proj`,
    `text_encoder_2 ${path}.q_proj`,
  ]);
});

test("alpha over rank is the scale; PEFT's comes from the metadata", async () => {
  const kohya = `lora_unet_${toQ.replaceAll(".", "_")}`;
  const withAlpha = made({ [`${kohya}.lora_down.weight`]: [4, 24], [`${kohya}.lora_up.weight`]: [24, 4], [`${kohya}.alpha`]: 2 });
  expect((await matchLora(withAlpha, targets)).layers[0]!.scale).toBe(0.5);
  const peft = pair(`unet.${toQ}.lora_A.weight`, `unet.${toQ}.lora_B.weight`);
  const scale = async (config: object) =>
    (await matchLora(peft, targets, { lora_adapter_metadata: JSON.stringify(config) })).layers[0]!.scale;
  expect(await scale({ "unet.r": 4, "unet.lora_alpha": 8 })).toBe(2);
  expect(await scale({ "unet.lora_alpha": 8, "unet.use_rslora": true })).toBe(4);
  expect(await scale({ "unet.lora_alpha": 8, "unet.alpha_pattern": { "attn1.to_q": 12 } })).toBe(3);
  await expect(matchLora(peft, targets, { lora_adapter_metadata: "{" })).rejects.toMatchObject({ code: "lora/metadata" });
});

test("tensors that match nothing are reported", async () => {
  const extra = { "lora_unet_nowhere.lora_down.weight": [4, 4], "lora_unet_nowhere.lora_up.weight": [4, 4], "emb.x": [3] };
  const tensors = new Map([...pair(`unet.${toQ}.lora_A.weight`, `unet.${toQ}.lora_B.weight`), ...made(extra)]);
  expect((await matchLora(tensors, targets)).unmatched).toEqual(Object.keys(extra));
});

const kv = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k";
const withAlpha = (alpha: number) =>
  made({ [`${kv}.lora_down.weight`]: [4, 40], [`${kv}.lora_up.weight`]: [24, 4], [`${kv}.alpha`]: alpha });
test.each<[string, string, string, Tensors]>([
  [
    "of Stable Diffusion 1.5",
    "lora/wrong-architecture",
    "Stable Diffusion 1.x: down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k of the unet is [24,40]",
    made({ [`${kv}.lora_down.weight`]: [4, 768], [`${kv}.lora_up.weight`]: [640, 4], [`${kv}.alpha`]: 4 }),
  ],
  [
    "of something else altogether",
    "lora/wrong-architecture",
    "None of the 2 tensors",
    made({ "transformer.single_blocks.0.lora_A.weight": [4, 4], "transformer.single_blocks.0.lora_B.weight": [4, 4] }),
  ],
  [
    "of two ranks",
    "lora/wrong-architecture",
    "[3,24]",
    made({ [`${toQ}.lora_A.weight`]: [3, 24], [`${toQ}.lora_B.weight`]: [24, 4] }),
  ],
  ["without its other half", "lora/incomplete", "no counterpart", made({ [`${toQ}.lora_A.weight`]: [4, 24] })],
  [
    "that has a layer twice",
    "lora/duplicate",
    "same weight",
    new Map([
      ...pair(`unet.${toQ}.lora_A.weight`, `unet.${toQ}.lora_B.weight`),
      ...pair(`unet.${toQ}.lora.down.weight`, `unet.${toQ}.lora.up.weight`),
    ]),
  ],
  ["of a method that is not known", "lora/unsupported", "set_weight", made({ [`${kv}.set_weight`]: [24, 40] })],
  [
    "of unknown methods alone",
    "lora/unsupported",
    "OFT as early PEFT wrote it",
    made({ "base_model.model.nowhere.oft_r": [4, 6, 6] }),
  ],
  ["of BOFT without its scales", "lora/incomplete", "boft_s", made({ [`base_model.model.${toQ}.boft_R`]: [1, 4, 6, 6] })],
  [
    "of BOFT for other columns (PEFT)",
    "lora/wrong-architecture",
    "(BOFT)",
    made({ [`base_model.model.${toQ}.boft_R`]: [1, 5, 6, 6], [`base_model.model.${toQ}.boft_s`]: [24, 1] }),
  ],
  [
    "of butterflies of odd blocks (PEFT)",
    "lora/wrong-architecture",
    "(BOFT)",
    made({ [`base_model.model.${toQ}.boft_R`]: [2, 8, 3, 3], [`base_model.model.${toQ}.boft_s`]: [24, 1] }),
  ],
  [
    "whose triangles are of no block (PEFT's OFT)",
    "lora/wrong-architecture",
    "(OFT)",
    made({ [`base_model.model.${toQ}.oft_R.weight`]: [6, 5] }),
  ],
  [
    "whose triangles are for other columns (PEFT's OFT)",
    "lora/wrong-architecture",
    "(OFT)",
    made({ [`base_model.model.${toQ}.oft_R.weight`]: [5, 6] }),
  ],
  ["whose alpha is no number", "lora/alpha", "is NaN", withAlpha(Number.NaN)],
  ["whose alpha is several numbers", "lora/alpha", "holds 2", new Map([...withAlpha(1), ...made({ [`${kv}.alpha`]: [2] })])],
  [
    "of two methods for one layer",
    "lora/duplicate",
    "by LoRA and full differences",
    new Map([...withAlpha(4), ...made({ [`${kv}.diff`]: [24, 40] })]),
  ],
  [
    "whose LoHa lacks a factor",
    "lora/incomplete",
    "hada_w2_b",
    made({ [`${kv}.hada_w1_a`]: [24, 4], [`${kv}.hada_w1_b`]: [4, 40], [`${kv}.hada_w2_a`]: [24, 4] }),
  ],
  ["whose LoKr lacks a factor", "lora/incomplete", "lokr_w2_a, lokr_w2_b", made({ [`${kv}.lokr_w1`]: [4, 4] })],
  [
    "whose LoKr has another shape",
    "lora/wrong-architecture",
    "is [24,40]",
    made({ [`${kv}.lokr_w1`]: [4, 4], [`${kv}.lokr_w2`]: [6, 11] }),
  ],
  ["whose blocks do not fit (OFT)", "lora/wrong-architecture", "(OFT)", made({ [`${kv}.oft_blocks`]: [3, 6, 6] })],
  [
    "whose vector does not fit ((IA)3)",
    "lora/wrong-architecture",
    "(IA)3",
    made({ [`${kv}.weight`]: [23], [`${kv}.on_input`]: 0 }),
  ],
  ["whose difference does not fit", "lora/wrong-architecture", "full differences", made({ [`${kv}.diff`]: [24, 41] })],
  [
    "whose magnitude does not fit",
    "lora/wrong-architecture",
    "no magnitude (DoRA)",
    new Map([...withAlpha(4), ...made({ [`${kv}.dora_scale`]: [7, 1] })]),
  ],
  ["with a magnitude and nothing else", "lora/incomplete", "no counterpart", made({ [`${kv}.dora_scale`]: [24, 1] })],
  [
    "with a bias for a layer without one",
    "lora/wrong-architecture",
    "which has none",
    new Map([...withAlpha(4), ...made({ [`${kv}.diff_b`]: [24] })]),
  ],
])("refuses a LoRA %s: %s", async (_, code, words, tensors) => {
  await expect(matchLora(tensors, targets)).rejects.toMatchObject({
    name: "UserError",
    code,
    message: expect.stringContaining(words),
  });
});
