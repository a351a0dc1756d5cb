import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { singleFileBytes, singleFileHeader } from "../testing/single-file.ts";
import { identify } from "./identify.ts";
import { openModel } from "./open-model.node.ts";
import { openTensors } from "./open-tensors.node.ts";
import { readBytes, readFloats, readRowMajor } from "./read-tensor.ts";
import { type TensorToWrite, writeSafetensors } from "./safetensors-write.node.ts";
import { COMPONENTS, type ComponentName, PREFIXES } from "./sdxl-single-file.ts";
import type { StoredDType } from "./tensor-entry.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "parts-"));
});
afterEach(() => rm(folder, { recursive: true }));

const TINY = goldenPath("tiny-sdxl");
const fileOf = (name: ComponentName): string =>
  join(TINY, name, name.startsWith("text") ? "model.safetensors" : "diffusion_pytorch_model.safetensors");

type Named = readonly (readonly [name: string, TensorToWrite])[];
const toWrite = (name: string, dtype: StoredDType, shape: readonly number[], bytes: Uint8Array): TensorToWrite => ({
  name,
  dtype,
  shape,
  data: bytes,
});

/** Tensors of a component by diffusers' names. */
const inDiffusers: { [Name in ComponentName]?: Named } = {};
/** Tensors of a component by the names of the original, without prefix. */
const inOriginal: { [Name in ComponentName]?: Named } = {};
beforeAll(async () => {
  const bytes = await singleFileBytes();
  for (const component of COMPONENTS) {
    const { tensors } = await openTensors(fileOf(component));
    const own = await Promise.all(
      [...tensors.values()].map(async (entry) => {
        return [entry.name, toWrite(entry.name, entry.dtype, entry.shape, await readBytes(entry))] as const;
      }),
    );
    inDiffusers[component] = own;
    inOriginal[component] = [...bytes].flatMap(([name, data]) => {
      if (!name.startsWith(PREFIXES[component])) return [];
      const [dtype, shape] = singleFileHeader[name]!;
      return [[name.slice(PREFIXES[component].length), toWrite(name, dtype, shape, data)] as const];
    });
  }
});

const write = async (file: string, named: Named, rename = (name: string): string => name): Promise<string> => {
  const path = join(folder, file);
  await mkdir(dirname(path), { recursive: true });
  await writeSafetensors(
    path,
    named.map(([name, tensor]) => ({ ...tensor, name: rename(name) })),
  );
  return path;
};
const under = (prefix: string) => (name: string) => prefix + name;

/** A text encoder of transformers by OpenCLIP's names: q, k and v in one, the projection transposed. */
function inOpenClip(named: Named): Named {
  const all = new Map(named);
  const join3 = (names: string[]): TensorToWrite => {
    const three = names.map((name) => all.get(name)!);
    const [first] = three;
    const shape = [3 * first!.shape[0]!, ...first!.shape.slice(1)];
    return {
      ...first!,
      shape,
      data: Buffer.concat(three.map(({ data }) => data as Uint8Array)),
    };
  };
  return named.flatMap(([name, tensor]) => {
    const renamed = name
      .replace(/^text_model\.embeddings\.position_embedding\.weight$/, "positional_embedding")
      .replace(/^text_model\.embeddings\./, "")
      .replace(/^text_model\.final_layer_norm/, "ln_final")
      .replace(/^text_model\.encoder\.layers\./, "transformer.resblocks.")
      .replace("layer_norm", "ln_")
      .replace("mlp.fc1", "mlp.c_fc")
      .replace("mlp.fc2", "mlp.c_proj")
      .replace("self_attn.out_proj", "attn.out_proj");
    if (/self_attn\.[kv]_proj/.test(name)) return [];
    const q = /^(.*)self_attn\.q_proj\.(weight|bias)$/.exec(name);
    if (q === null) return [[renamed, tensor] as const];
    const fused = join3(["q", "k", "v"].map((part) => `${q[1]}self_attn.${part}_proj.${q[2]}`));
    return [[`${q[1]!.replace("text_model.encoder.layers", "transformer.resblocks")}attn.in_proj_${q[2]}`, fused] as const];
  });
}

interface Layout {
  readonly title: string;
  readonly part: ComponentName;
  readonly make: () => Promise<string>;
}

const flat = (part: ComponentName, prefix: string): Layout => ({
  title: `${part} by diffusers' names behind "${prefix}"`,
  part,
  make: () => write("part.safetensors", inDiffusers[part]!, under(prefix)),
});
const original = (part: ComponentName, prefix: string): Layout => ({
  title: `${part} by the original's names behind "${prefix}"`,
  part,
  make: () => write("part.safetensors", inOriginal[part]!, under(prefix)),
});
const whole = (title: string, path: string): readonly Layout[] =>
  COMPONENTS.map((part) => ({ title: `${part} of ${title}`, part, make: async () => path }));

const LAYOUTS: readonly Layout[] = [
  ...COMPONENTS.map((part): Layout => ({ title: `the folder ${part}`, part, make: async () => join(TINY, part) })),
  ...COMPONENTS.map((part): Layout => ({ title: `the file in ${part}`, part, make: async () => fileOf(part) })),
  ...whole("a model's folder", TINY),
  ...whole("model_index.json", join(TINY, "model_index.json")),
  ...COMPONENTS.map(
    (part): Layout => ({
      title: `${part} of a whole checkpoint`,
      part,
      make: () =>
        write(
          "all.safetensors",
          COMPONENTS.flatMap((each) => inOriginal[each]!.map(([n, t]) => [PREFIXES[each] + n, t] as const)),
        ),
    }),
  ),
  flat("unet", ""),
  flat("unet", "unet."),
  original("unet", ""),
  original("unet", "model.diffusion_model."),
  original("unet", "diffusion_model."),
  flat("vae", ""),
  flat("vae", "vae."),
  original("vae", ""),
  original("vae", "first_stage_model."),
  ...["", "cond_stage_model.transformer.", "conditioner.embedders.0.transformer.", "text_encoders.clip_l.transformer."].map(
    (prefix) => flat("text_encoder", prefix),
  ),
  ...["clip_l.transformer.", "clip_l.", "transformer.", "text_encoder."].map((prefix) => flat("text_encoder", prefix)),
  {
    title: "text_encoder without text_model.",
    part: "text_encoder",
    make: () => write("part.safetensors", inDiffusers.text_encoder!, (name) => name.replace("text_model.", "")),
  },
  {
    title: "text_encoder by OpenCLIP's names",
    part: "text_encoder",
    make: () => write("part.safetensors", inOpenClip(inDiffusers.text_encoder!), under("model.")),
  },
  ...["", "text_encoders.clip_g.transformer.", "clip_g.transformer.", "text_encoder_2."].map((prefix) =>
    flat("text_encoder_2", prefix),
  ),
  ...["", "model.", "conditioner.embedders.0.model.", "text.", "clip_g.model."].map((prefix) =>
    original("text_encoder_2", prefix),
  ),
  {
    title: "text_encoder of a file with both",
    part: "text_encoder",
    make: () =>
      write("both.safetensors", [
        ...inDiffusers.text_encoder_2!.map(([n, t]) => [`text_encoders.clip_g.transformer.${n}`, t] as const),
        ...inDiffusers.text_encoder!.map(([n, t]) => [`text_encoders.clip_l.transformer.${n}`, t] as const),
      ]),
  },
  {
    title: "the only file in a folder",
    part: "vae",
    make: async () => dirname(await write("download/sdxl_vae.safetensors", inOriginal.vae!)),
  },
];

test.each(LAYOUTS)("a part given apart has the weights of the model's own: $title", async ({ part, make }) => {
  const path = await make();
  const own = await openModel(TINY);
  // without this part of its own
  const bare = join(folder, "bare");
  await mkdir(bare);
  for (const name of await readdir(TINY)) if (name !== part) await symlink(join(TINY, name), join(bare, name));
  const { components, notices, parts } = await openModel(bare, { parts: { [part]: path } });
  const wanted = own.components[part].tensors;
  const got = components[part].tensors;
  expect([...got.keys()].sort()).toEqual([...wanted.keys()].sort());
  for (const [name, entry] of wanted) {
    const other = got.get(name)!;
    expect(other.shape, name).toEqual(entry.shape);
    const bytes = await readRowMajor(other);
    if (other.dtype === entry.dtype) expect(Buffer.compare(bytes, await readRowMajor(entry)), name).toBe(0);
    else expect(await readFloats(other), name).toMatchGolden(await readFloats(entry), 1e-3);
  }
  expect(components[part].config ?? own.components[part].config).toEqual(own.components[part].config);
  expect(notices).toEqual(own.notices);
  expect(Object.keys(parts)).toEqual([part]);
});

const vEpsilon = (): Named => [["v_pred", toWrite("v_pred", "F32", [0], new Uint8Array())]];
const zeros = (spec: Record<string, readonly number[]>): Named =>
  Object.entries(spec).map(([name, shape]) => [
    name,
    toWrite(name, "F16", shape, new Uint8Array(2 * shape.reduce((a, b) => a * b, 1))),
  ]);
/** A component with another shape, or without a tensor. */
const but = (part: ComponentName, name: string, shape?: readonly number[]): Named =>
  inDiffusers[part]!.flatMap((one) => (one[0] !== name ? [one] : shape === undefined ? [] : zeros({ [name]: shape })));

describe("a UNet alone", () => {
  const parts = {
    vae: join(TINY, "vae"),
    text_encoder: fileOf("text_encoder"),
    text_encoder_2: fileOf("text_encoder_2"),
  };
  test.each<[string, () => Promise<string>]>([
    ["a file with diffusers' names", () => write("x.safetensors", inDiffusers.unet!)],
    ["a file with the original's names", () => write("x.safetensors", inOriginal.unet!)],
    [
      "a file with the original's names and prefix",
      () => write("x.safetensors", inOriginal.unet!, under("model.diffusion_model.")),
    ],
    [
      "a component's folder",
      async () => {
        await cp(join(TINY, "unet"), join(folder, "other"), { recursive: true });
        return join(folder, "other");
      },
    ],
  ])("is a model with the other parts: %s", async (_, make) => {
    const path = await make();
    const model = await openModel(path, { parts });
    expect(model).toMatchObject({ path, parts });
    for (const name of COMPONENTS)
      expect(model.components[name].tensors.size).toBe((await openTensors(fileOf(name))).tensors.size);
    expect(model.components.vae.config).toMatchObject({ scaling_factor: 0.13025 });
    await expect(openModel(path, { parts: {} })).rejects.toMatchObject({
      code: "model/missing-component",
      message: expect.stringMatching(/has no vae, no text_encoder, no text_encoder_2\.$/),
      remedy: expect.stringContaining("--vae, --text-encoder and --text-encoder-2"),
    });
  });

  test("takes configs from the folder that is given", async () => {
    const path = await write("x.safetensors", inOriginal.unet!);
    const vae = await write("vae.safetensors", inOriginal.vae!);
    const { components } = await openModel(path, { config: TINY, parts: { ...parts, vae } });
    expect(components.unet.config).toMatchObject({ block_out_channels: [16, 24, 32] });
    expect(components.vae.config).toMatchObject({ block_out_channels: [8, 16, 24, 24] });
  });
});

test("a part over the model's own has the model's config where both are alike, else its own or none", async () => {
  const same = await write("same.safetensors", inOriginal.vae!);
  expect((await openModel(TINY, { parts: { vae: same } })).components.vae.config).toMatchObject({ scaling_factor: 0.13025 });
  const other = await write("other.safetensors", but("vae", "decoder.conv_norm_out.weight", [32]));
  expect((await openModel(TINY, { parts: { vae: other } })).components.vae.config).toBeUndefined();
  await mkdir(join(folder, "other"));
  const config = { _class_name: "AutoencoderKL", block_out_channels: [32], scaling_factor: 0.13025 };
  await writeFile(join(folder, "other/config.json"), JSON.stringify(config));
  expect((await openModel(TINY, { parts: { vae: other } })).components.vae.config).toEqual(config);
});

test("a VAE whose config scales latents otherwise is named", async () => {
  await cp(join(TINY, "vae"), join(folder, "vae"), { recursive: true });
  const path = join(folder, "vae/config.json");
  const { scaling_factor: _, ...config } = JSON.parse(await readFile(path, "utf8"));
  await writeFile(path, JSON.stringify(config));
  const { notices } = await openModel(TINY, { parts: { vae: join(folder, "vae") } });
  expect(notices).toContainEqual({
    code: "model/other-latents",
    message: expect.stringContaining("0.18215 and the model's own by 0.13025"),
  });
});

test("what a UNet is trained to predict goes with it", async () => {
  const marked = [...inOriginal.unet!.map(([name, tensor]) => [`model.diffusion_model.${name}`, tensor] as const), ...vEpsilon()];
  const unet = await write("v.safetensors", marked);
  const over = await openModel(TINY, { parts: { unet } });
  expect(over.scheduler).toMatchObject({ _class_name: "EulerDiscreteScheduler", prediction_type: "v_prediction" });
  const base = await write("base.safetensors", [
    ...marked,
    ...COMPONENTS.slice(1).flatMap((each) => inOriginal[each]!.map(([n, t]) => [PREFIXES[each] + n, t] as const)),
  ]);
  expect((await openModel(base)).scheduler).toEqual({ prediction_type: "v_prediction" });
  expect((await openModel(base, { parts: { unet: fileOf("unet") } })).scheduler?.prediction_type).not.toBe("v_prediction");
  const model = join(folder, "model");
  await cp(TINY, model, { recursive: true });
  await writeFile(join(model, "scheduler/scheduler_config.json"), '{"prediction_type": "v_prediction", "own": 1}');
  for (const unet of [model, join(model, "unet")])
    expect((await openModel(TINY, { parts: { unet } })).scheduler).toEqual({ prediction_type: "v_prediction", own: 1 });
});

test("tensors of a part that are unknown are named with its file", async () => {
  const vae = await write(
    "vae.safetensors",
    [...inOriginal.vae!, ...zeros({ "decoder.extra.scale": [1], "loss.logvar": [1] })],
    under("first_stage_model."),
  );
  expect((await openModel(TINY, { parts: { vae } })).notices).toEqual([
    { code: "model/unknown-names", message: `${vae}: 1 tensor is not used: first_stage_model.decoder.extra.scale.` },
  ]);
});

test("the model's own part need not be readable where another is given", async () => {
  const model = join(folder, "model");
  await cp(TINY, model, { recursive: true });
  await rm(join(model, "vae/diffusion_pytorch_model.safetensors"));
  await symlink(join(folder, "gone"), join(model, "vae/diffusion_pytorch_model.safetensors"));
  await expect(openModel(model, { parts: {} })).rejects.toMatchObject({ code: "model/broken-link" });
  expect((await openModel(model, { parts: { vae: join(TINY, "vae") } })).components.vae.tensors.size).toBe(
    inDiffusers.vae!.length,
  );
});

test.each<[string, ComponentName, string, string | RegExp, () => Promise<string>]>([
  [
    "a LoRA",
    "vae",
    "model/wrong-kind",
    /a LoRA, not the VAE.*--lora/s,
    () => write("x.safetensors", zeros({ "lora_unet_x.lora_down.weight": [2, 4] })),
  ],
  [
    "a tiny autoencoder",
    "vae",
    "model/wrong-kind",
    /TAESD.*--tiny-vae/s,
    () => write("x.safetensors", zeros({ "decoder.layers.0.weight": [1], "decoder.layers.2.conv.0.weight": [1] })),
  ],
  ["a UNet", "vae", "model/wrong-kind", /an SDXL UNet alone, not the VAE.*--unet/s, async () => fileOf("unet")],
  ["a VAE", "unet", "model/wrong-kind", /a VAE alone, not the UNet.*--vae/s, async () => join(TINY, "vae")],
  [
    "the first text encoder",
    "text_encoder_2",
    "model/wrong-kind",
    /a CLIP text encoder alone, not the second text encoder/,
    async () => fileOf("text_encoder"),
  ],
  [
    "a checkpoint without it",
    "vae",
    "model/missing-component",
    /has no VAE.*--vae/s,
    () => write("x.safetensors", inOriginal.unet!, under("model.diffusion_model.")),
  ],
  [
    "a model's folder without it",
    "vae",
    "model/missing-component",
    /has no vae/,
    async () => {
      await writeFile(join(folder, "model_index.json"), "{}");
      return folder;
    },
  ],
  [
    "the VAE of a Stable Diffusion 1.x checkpoint",
    "vae",
    "model/not-sdxl",
    "1.x",
    () =>
      write("x.safetensors", [
        ...inOriginal.vae!.map(([n, t]) => [`first_stage_model.${n}`, t] as const),
        ...zeros({ "cond_stage_model.transformer.x": [1] }),
      ]),
  ],
  [
    "a UNet of Stable Diffusion 1.x",
    "unet",
    "model/not-sdxl",
    /x\.safetensors is not SDXL's: .* 768 wide, as of Stable Diffusion 1.x/,
    () =>
      write(
        "x.safetensors",
        zeros({ "conv_in.weight": [1], "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": [1, 768] }),
      ),
  ],
  [
    "a UNet for inpainting",
    "unet",
    "model/inpainting",
    /9 input channels.*this command does not take/,
    () => write("x.safetensors", but("unet", "conv_in.weight", [16, 9, 3, 3])),
  ],
  [
    "the refiner's UNet",
    "unet",
    "model/refiner",
    "refiner",
    () =>
      write(
        "x.safetensors",
        inDiffusers.unet!.flatMap(([n, t]) => (n.endsWith(".attn2.to_k.weight") ? zeros({ [n]: [24, 24] }) : [[n, t] as const])),
      ),
  ],
  [
    "a VAE of 16 channels",
    "vae",
    "model/wrong-component",
    /with the vae of .*: its UNet takes 4 channels and its VAE gives 16/,
    () => write("x.safetensors", but("vae", "decoder.conv_in.weight", [24, 16, 3, 3])),
  ],
  ["something else", "text_encoder", "model/wrong-kind", "something else", () => write("x.safetensors", zeros({ x: [1] }))],
  ["nothing", "vae", "file/missing", "none", async () => join(folder, "none.safetensors")],
  ["an empty folder", "vae", "model/not-a-model", /no weights/, async () => folder],
  [
    "a folder of several files",
    "vae",
    "model/not-a-model",
    /several files.*a\.safetensors/s,
    async () => {
      await write("b.safetensors", inOriginal.vae!);
      await write("a.safetensors", inOriginal.vae!);
      return folder;
    },
  ],
])("what is no such part is refused: %s as %s", async (_, part, code, words, make) => {
  const error = await openModel(TINY, { parts: { [part]: await make() } }).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ name: "UserError", code });
  const { message, remedy } = error as { message: string; remedy: string };
  expect(`${message} ${remedy}`).toMatch(words);
});

test("of a text encoder with more positions the first 77 are used, with a notice", async () => {
  const name = "text_model.embeddings.position_embedding.weight";
  const long = inDiffusers.text_encoder!.map(([n, t]) => {
    if (n !== name) return [n, t] as const;
    const data = t.data as Uint8Array;
    const longer = Buffer.concat([data, Buffer.alloc((data.length / 77) * (248 - 77), 1)]);
    return [n, { ...t, shape: [248, t.shape[1]!], data: longer }] as const;
  });
  const text_encoder = await write("x.safetensors", long);
  const { components, notices } = await openModel(TINY, { parts: { text_encoder } });
  const own = (await openTensors(fileOf("text_encoder"))).tensors.get(name)!;
  const first = components.text_encoder.tensors.get(name)!;
  expect(first.shape).toEqual(own.shape);
  expect(Buffer.compare(await readBytes(first), await readBytes(own))).toBe(0);
  expect(components.text_encoder.config).toMatchObject({ max_position_embeddings: 77 });
  expect(notices.map(({ code }) => code)).toContain("model/positions");
});

test("exchanged text encoders are refused", async () => {
  const clip = (prefix: string, width: number) =>
    write(
      `${width}.safetensors`,
      zeros({
        "text_model.embeddings.token_embedding.weight": [4, width],
        "text_model.final_layer_norm.weight": [width],
        "text_projection.weight": [width, width],
      }),
      under(prefix),
    );
  const parts = { text_encoder: await clip("clip_l.", 24), text_encoder_2: await clip("clip_g.", 16) };
  await expect(openModel(TINY, { parts })).rejects.toMatchObject({
    code: "model/wrong-component",
    message: expect.stringContaining("exchanged"),
  });
});

test.each<[string, string, () => Named]>([
  ["a UNet in the original's layout", "unet-sdxl", () => inOriginal.unet!],
  ["a VAE with its prefix", "vae", () => inOriginal.vae!.map(([n, t]) => [`first_stage_model.${n}`, t])],
  ["OpenCLIP's text encoder", "clip-text-projection", () => inOriginal.text_encoder_2!],
  [
    "CLIP's text encoder of node programs",
    "clip-text",
    () => inDiffusers.text_encoder!.map(([n, t]) => [`clip_l.transformer.${n}`, t]),
  ],
  [
    "both text encoders",
    "sdxl-parts",
    () => [
      ...inDiffusers.text_encoder!.map(([n, t]) => [`clip_l.transformer.${n}`, t] as const),
      ...inDiffusers.text_encoder_2!.map(([n, t]) => [`clip_g.transformer.${n}`, t] as const),
    ],
  ],
])("%s is recognised alone", async (_, kind, make) => {
  expect(identify((await openTensors(await write("x.safetensors", make()))).tensors)).toBe(kind);
});
