import { expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { clipTensors } from "./clip-names.ts";
import { openTensors } from "./open-tensors.node.ts";
import { readFloats, readRowMajor } from "./read-tensor.ts";
import { byteLength, DTYPE_BYTES, type TensorEntry, type Tensors } from "./tensor-entry.ts";
import { vitTensors } from "./vit-names.ts";

const open = async (name: string): Promise<Tensors> =>
  (await openTensors(goldenPath("evaluate", name, "model.safetensors"))).tensors;

const inMemory = async (entry: TensorEntry, name: string): Promise<TensorEntry> => ({
  ...entry,
  name,
  source: { kind: "bytes", bytes: await readRowMajor(entry) },
});

/** Rows of several tensors in one. */
async function joined(parts: readonly TensorEntry[], name: string): Promise<TensorEntry> {
  const bytes = Buffer.concat(await Promise.all(parts.map(readRowMajor)));
  const [first] = parts as [TensorEntry];
  return { ...first, name, shape: [first.shape[0]! * parts.length, ...first.shape.slice(1)], source: { kind: "bytes", bytes } };
}

/** Everything that `tensors` holds, by name. */
async function valuesOf(tensors: Tensors): Promise<Map<string, readonly [string, Float32Array]>> {
  const out = new Map<string, readonly [string, Float32Array]>();
  for (const [name, entry] of tensors)
    if (DTYPE_BYTES[entry.dtype] < 8) out.set(name, [entry.shape.join(), await readFloats(entry)]);
  return out;
}

/** The authors' names of DINO and DINOv2, from those of transformers. */
async function asAuthors(hub: Tensors, prefix: string): Promise<Tensors> {
  const ours = vitTensors(hub)!;
  const out = new Map<string, TensorEntry>();
  for (const [name, entry] of ours) {
    const [, start, kind] = /^(blocks\.\d+\.attn\.)q\.(weight|bias)$/.exec(name) ?? [];
    if (start !== undefined) {
      const parts = ["q", "k", "v"].map((part) => ours.get(`${start}${part}.${kind}`)!);
      const path = `${prefix}${start}qkv.${kind}`;
      out.set(path, await joined(parts, path));
    } else if (!/\.attn\.[kv]\./.test(name)) out.set(prefix + name, await inMemory(entry, prefix + name));
  }
  return out;
}

test.each(["dino", "dinov2", "dinov2-registers"])("%s by the authors' names is the same as by transformers'", async (name) => {
  const hub = await open(name);
  const expected = await valuesOf(vitTensors(hub)!);
  expect(expected.has("blocks.1.attn.v.bias")).toBe(true);
  for (const prefix of ["", "teacher.backbone.", "module."]) {
    const file = new Map(await asAuthors(hub, prefix));
    if (prefix.startsWith("teacher")) {
      for (const [path, entry] of await asAuthors(hub, "student.backbone."))
        file.set(path, { ...entry, source: { kind: "bytes", bytes: new Uint8Array(byteLength(entry)) } });
      file.set("teacher.head.mlp.0.weight", { ...[...hub.values()][0]!, name: "teacher.head.mlp.0.weight" });
    }
    expect(await valuesOf(vitTensors(file)!)).toEqual(expected);
  }
  // the model within a classifier
  const inner = new Map([...hub].map(([path, entry]) => [`vit.${path}`, { ...entry, name: `vit.${path}` }]));
  expect(await valuesOf(vitTensors(inner)!)).toEqual(expected);
  expect(vitTensors(new Map())).toBeUndefined();
});

test("a CLIP by OpenCLIP's names is the same as by transformers'", async () => {
  const hub = new Map([...(await open("clip"))].filter(([, entry]) => DTYPE_BYTES[entry.dtype] < 8));
  const file = new Map<string, TensorEntry>();
  const put = (entry: TensorEntry): void => void file.set(entry.name, entry);
  const layer = {
    layer_norm1: "ln_1",
    layer_norm2: "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
  };
  for (const [path, entry] of hub) {
    const [, side, depth, rest] = /^(text|vision)_model\.encoder\.layers\.(\d+)\.(.+)$/.exec(path) ?? [];
    if (side !== undefined) {
      const into = `${side === "vision" ? "visual." : ""}transformer.resblocks.${depth}`;
      const [, kind] = /^self_attn\.q_proj\.(weight|bias)$/.exec(rest!) ?? [];
      if (kind !== undefined) {
        const parts = ["q", "k", "v"].map((p) => hub.get(`${side}_model.encoder.layers.${depth}.self_attn.${p}_proj.${kind}`)!);
        put(await joined(parts, `${into}.attn.in_proj_${kind}`));
      } else if (!/self_attn\.[kv]_proj/.test(rest!)) {
        const found = Object.entries(layer).find(([from]) => rest!.startsWith(from))!;
        put(await inMemory(entry, `${into}.${rest!.replace(...(found as [string, string]))}`));
      }
      continue;
    }
    const ends: Record<string, string> = {
      "text_model.embeddings.position_embedding.weight": "positional_embedding",
      "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
      "vision_model.embeddings.class_embedding": "visual.class_embedding",
      "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
      "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    };
    const norms = path
      .replace("text_model.final_layer_norm", "ln_final")
      .replace("vision_model.pre_layrnorm", "visual.ln_pre")
      .replace("vision_model.post_layernorm", "visual.ln_post");
    const projections: Record<string, string> = {
      "text_projection.weight": "text_projection",
      "visual_projection.weight": "visual.proj",
    };
    if (projections[path] !== undefined) put(await transposedEntry(entry, projections[path]));
    else put(await inMemory(entry, ends[path] ?? norms));
  }
  const [found, expected] = [await valuesOf(clipTensors(file)), await valuesOf(hub)];
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [path, values] of expected) expect(found.get(path), path).toEqual(values);
});

async function transposedEntry(entry: TensorEntry, name: string): Promise<TensorEntry> {
  const [rows, columns] = entry.shape as [number, number];
  const values = await readFloats(entry);
  const out = Float32Array.from({ length: values.length }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
  return { name, dtype: "F32", shape: [columns, rows], source: { kind: "bytes", bytes: new Uint8Array(out.buffer) } };
}
