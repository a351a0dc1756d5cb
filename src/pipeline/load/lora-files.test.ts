import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { describe as describeFile } from "../../weights/describe.node.ts";
import type { ModelFiles } from "../../weights/model.ts";
import { openAdapter } from "../../weights/open-adapter.node.ts";
import { openModel } from "../../weights/open-model.node.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";
import { copyTensor, type TensorToWrite, writeSafetensors } from "../../weights/safetensors-write.node.ts";
import { collectLoras } from "./loras.ts";

// LoRAs and adapters as other programs name and divide them

let folder: string;
let model: ModelFiles;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lora-files-"));
  model = await openModel(goldenPath("tiny-sdxl"));
});
afterAll(() => rm(folder, { recursive: true }));

const zeros = (name: string, shape: readonly number[]): TensorToWrite => ({
  name,
  dtype: "F32",
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
});
async function save(name: string, tensors: readonly TensorToWrite[]): Promise<string> {
  const path = join(folder, `${name}.safetensors`);
  await writeSafetensors(path, tensors);
  return path;
}
/** A golden file's tensors under other names; those without one are left out. */
async function renamed(name: string, source: string, rename: (name: string) => string | undefined): Promise<string> {
  const { tensors } = await openTensors(goldenPath(source));
  return save(
    name,
    [...tensors.values()].flatMap((entry) => {
      const other = rename(entry.name);
      return other === undefined ? [] : [{ ...copyTensor(entry), name: other }];
    }),
  );
}
test("PEFT's config beside its file says how strong it is, as in PEFT, and how OFT turns", async () => {
  const peft = join(folder, "peft");
  await mkdir(peft);
  const path = join(peft, "adapter_model.safetensors");
  const { tensors } = await openTensors(goldenPath("lora/kin/peft_dora.safetensors"));
  const pairs = [...tensors.values()].filter(({ name }) => /lora_[AB]/.test(name));
  await writeSafetensors(path, pairs.map(copyTensor));
  const scales = async () => [...(await collected([path])).pairs.get("unet")!.values()].flat().map(({ scale }) => scale);
  expect(new Set(await scales())).toEqual(new Set([1]));
  await writeFile(join(peft, "adapter_config.json"), JSON.stringify({ peft_type: "LORA", r: 4, lora_alpha: 8 }));
  expect(new Set(await scales())).toEqual(new Set([2]));

  await copyFile(goldenPath("lora/kin/peft_oft.safetensors"), path);
  const turned = async (config: object) => {
    await writeFile(join(peft, "adapter_config.json"), JSON.stringify({ peft_type: "OFT", ...config }));
    return [...(await collected([path])).changes.values()].join();
  };
  expect(await turned({ use_cayley_neumann: false })).not.toBe(await turned({}));
  await expect(turned({ num_cayley_neumann_terms: 7 })).rejects.toMatchObject({
    code: "lora/unsupported",
    message: expect.stringContaining("7 terms"),
  });
});

const adapterOf = (path?: string) => (path === undefined ? undefined : openAdapter(path));
const collected = async (loras: readonly string[], adapter?: string) =>
  collectLoras(
    model,
    await adapterOf(adapter),
    1,
    loras.map((path) => ({ path, scale: 1 })),
  );
/** What is changed, and how: where each pair lies in its file does not matter. */
const changed = async (loras: readonly string[], adapter?: string) => {
  const { pairs, notices } = await collected(loras, adapter);
  expect(notices.filter(({ code }) => code === "lora/unmatched")).toEqual([]);
  return [...pairs]
    .flatMap(([component, own]) =>
      [...own].map(
        ([path, all]) => `${component} ${path} ${all.map(({ down, up, scale }) => [down.shape, up.shape, scale].join(";"))}`,
      ),
    )
    .sort();
};

const KOHYA = "lora/kohya_sgm.safetensors";

test.each<[string, (name: string) => string]>([
  ["lycoris_", (name) => name.replace(/^lora_unet_/, "lycoris_")],
  ["OneTrainer's dots", (name) => name.replace(/^(lora_unet|lora_te[12])_/, "$1.")],
  ["of an adapter's part", (name) => `lora_weights.${name}`],
  ["of a training program's state", (name) => `state_dict.${name}`],
])("names with the prefix %s are those without", async (kind, rename) => {
  const own = kind === "lycoris_" ? (name: string) => (name.startsWith("lora_unet_") ? name : undefined) : (name: string) => name;
  const equal = await renamed(`equal of ${kind}`, KOHYA, own);
  const other = await renamed(kind, KOHYA, (name) => (own(name) === undefined ? undefined : rename(name)));
  const expected = await changed([equal]);
  expect(expected.length).toBeGreaterThan(300);
  expect(await changed([other])).toEqual(expected);
});

test("layers of text encoders are found under the names of node programs and newer trainers", async () => {
  const [first, second] = ["text_model.encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.1.mlp.fc1"] as const;
  const of = (one: string, two: string) => [
    ...[zeros(`${one}.lora_down.weight`, [4, 16]), zeros(`${one}.lora_up.weight`, [16, 4])],
    ...[zeros(`${two}.lora_down.weight`, [4, 24]), zeros(`${two}.lora_up.weight`, [96, 4])],
  ];
  const underscores = (path: string): string => path.replaceAll(".", "_");
  const expected = await changed([await save("te", of(`lora_te1_${underscores(first)}`, `lora_te2_${underscores(second)}`))]);
  expect(expected.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
    `text_encoder ${first}.weight`,
    `text_encoder_2 ${second}.weight`,
  ]);
  const spellings = [
    ["text_encoders.clip_l.transformer.", "text_encoders.clip_g.transformer."],
    ["text_encoders.clip_l.", "text_encoders.clip_g."],
    ["clip_l.transformer.", "clip_g.transformer."],
    ["clip_l.", "clip_g."],
    ["text_encoder.", "text_encoder_2."],
    ["base_model.model.text_encoder.", "base_model.model.text_encoder_2."],
  ] as const;
  for (const [i, [one, two]] of spellings.entries())
    expect(await changed([await save(`te${i}`, of(`${one}${first}`, `${two}${second}`))]), one).toEqual(expected);
});

test.each<[string, string, string, Record<string, readonly number[]>]>([
  ["a textual inversion", "textual inversion", "--embeddings", { clip_l: [2, 16], clip_g: [2, 24] }],
  ["an IP-Adapter", "IP-Adapter", "--lora", { "image_proj.proj.weight": [2, 4], "ip_adapter.1.to_k_ip.weight": [2, 4] }],
  ["a ControlNet", "ControlNet", "--lora", { "controlnet_cond_embedding.conv_in.weight": [2, 3, 3, 3] }],
  ["a VAE", "a VAE alone", "--lora", { "decoder.conv_in.weight": [2, 4, 3, 3], "encoder.conv_in.weight": [2, 4, 3, 3] }],
  [
    "a whole checkpoint",
    "an SDXL checkpoint",
    "--model",
    { "model.diffusion_model.label_emb.0.0.weight": [4, 4], "model.diffusion_model.input_blocks.0.0.weight": [4, 4, 3, 3] },
  ],
])("%s is refused as what it is: lora/wrong-kind", async (what, words, remedy, shapes) => {
  const path = await save(
    what,
    Object.entries(shapes).map(([name, shape]) => zeros(name, shape)),
  );
  await expect(collected([path])).rejects.toMatchObject({
    code: "lora/wrong-kind",
    message: expect.stringContaining(words),
    remedy: expect.stringContaining(remedy),
  });
});

const ADAPTER = "tiny-photomaker-v1.safetensors";
const encoderAlone = (name: string, prefix: string) =>
  renamed(name, ADAPTER, (one) => (one.startsWith("id_encoder.") ? one.replace("id_encoder.", prefix) : undefined));
const loraAlone = (name: string, prefix: string) =>
  renamed(name, ADAPTER, (one) => (one.startsWith("lora_weights.") ? one.replace("lora_weights.", prefix) : undefined));

test("an adapter under other names is the adapter", async () => {
  const expected = await openAdapter(goldenPath(ADAPTER));
  for (const prefix of ["pmid.", ""]) {
    const path = await renamed(`adapter ${prefix}`, ADAPTER, (name) => name.replace(/^id_encoder\./, prefix));
    const found = await openAdapter(path);
    expect([...found.idEncoder.keys()].sort()).toEqual([...expected.idEncoder.keys()].sort());
    expect(await changed([], path)).toEqual(await changed([], goldenPath(ADAPTER)));
    const { components, missing } = await describeFile(path);
    expect(components.map(({ name, tensors }) => [name, tensors])).toEqual([
      ["id_encoder", expected.idEncoder.size],
      ["lora_weights", expected.lora.size],
    ]);
    expect(missing).toEqual([]);
  }
});

test("an ID encoder and its LoRA as two files are the adapter, and it is told which LoRA was taken", async () => {
  for (const [i, [prefix, loraPrefix]] of [
    ["id_encoder.", ""],
    ["", "lora_weights."],
    ["pmid.", ""],
  ].entries()) {
    const [encoder, lora] = [await encoderAlone(`encoder${i}`, prefix!), await loraAlone(`lora${i}`, loraPrefix!)];
    expect(await changed([lora], encoder)).toEqual(await changed([], goldenPath(ADAPTER)));
    expect((await collected([goldenPath(KOHYA), lora], encoder)).notices).toContainEqual({
      code: "adapter/lora-apart",
      message: expect.stringContaining(`lora${i}`),
    });
  }
});

test("an ID encoder alone lacks the LoRA alone, and it is told how to give it: adapter/incomplete", async () => {
  for (const prefix of ["id_encoder.", "pmid.", ""]) {
    const path = await encoderAlone(`alone ${prefix}`, prefix);
    const refusal = { code: "adapter/incomplete", remedy: expect.stringContaining("--lora") };
    await expect(collected([], path)).rejects.toMatchObject({ ...refusal, message: expect.stringContaining("lacks the LoRA") });
    const style = goldenPath("lora", "kin", "loha.safetensors");
    await expect(collected([style], path)).rejects.toMatchObject({
      ...refusal,
      message: expect.stringContaining("None of the files"),
    });
    const { components, missing, remarks } = await describeFile(path);
    expect(components[0]!.tensors).toBeGreaterThan(10);
    expect(missing).toEqual(["lora_weights"]);
    expect(remarks.join()).toContain("--lora");
  }
});

test("weights of blocks: BASE is what stands in no block, and blocks that a list does not name take nothing", async () => {
  const path = goldenPath(KOHYA);
  const of = async (blocks: number[]) => {
    const { pairs } = await collectLoras(model, undefined, 1, [{ path, scale: 2, blocks }]);
    return (component: "unet" | "text_encoder", name: string) => pairs.get(component)?.get(`${name}.weight`)?.[0]?.scale;
  };
  const query = "transformer_blocks.0.attn1.to_q";
  const all = await of(Array<number>(20).fill(1));
  const twelve = await of([0.1, 0.4, 0.5, 0.7, 0.8, 0.9, 10, 11, 12, 13, 14, 15]);
  const expected: [string, number][] = [
    [`down_blocks.1.attentions.0.${query}`, 0.4],
    [`down_blocks.1.attentions.1.${query}`, 0.5],
    [`down_blocks.2.attentions.0.${query}`, 0.7],
    [`down_blocks.2.attentions.1.${query}`, 0.8],
    [`mid_block.attentions.0.${query}`, 0.9],
    [`up_blocks.0.attentions.0.${query}`, 10],
    [`up_blocks.0.attentions.2.${query}`, 12],
    [`up_blocks.1.attentions.2.${query}`, 15],
  ];
  for (const [name, factor] of expected) expect(twelve("unet", name), name).toBeCloseTo(factor * all("unet", name)!, 6);
  const text = "text_model.encoder.layers.0.self_attn.q_proj";
  expect(twelve("text_encoder", text)).toBeCloseTo(0.1 * all("text_encoder", text)!, 6);
  const convolutions = { path: goldenPath("lora", "kin", "loha.safetensors"), scale: 1 };
  const changes = async (blocks: number[]) =>
    (await collectLoras(model, undefined, 1, [{ ...convolutions, blocks }])).changes.get("unet");
  expect(await changes(Array<number>(12).fill(1))).not.toContain("resnets"); // IN01 is not among the twelve
  expect(await changes(Array<number>(20).fill(1))).toContain("down_blocks.0.resnets.0.conv1.weight");
});

test("another number of block weights: lora/blocks", async () => {
  const lora = { path: goldenPath(KOHYA), scale: 1, blocks: Array<number>(17).fill(1) };
  await expect(collectLoras(model, undefined, 1, [lora])).rejects.toMatchObject({
    code: "lora/blocks",
    message: expect.stringContaining("17 block weights"),
  });
});
