import { UserError } from "../core/errors.ts";
import { identify, KIND_NAMES } from "./identify.ts";
import { readFloats } from "./read-tensor.ts";
import type { TensorEntry } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";

/** Vectors that stand in the place of a word: Gal et al. 2022 (arXiv 2208.01618). */
export interface TextualInversion {
  /** Places that it takes in a text. */
  readonly count: number;
  /** Rows for text encoder 1 and 2; undefined where it has none. */
  readonly vectors: readonly [readonly Float32Array[] | undefined, readonly Float32Array[] | undefined];
}

/** What is not a vector in the files of A1111, beside those. */
const NOT_VECTORS = /^(step|sd_checkpoint|sd_checkpoint_name|name|string_to_token\b.*)$/;

/**
 * Vectors of a textual inversion file: `clip_l` and `clip_g` for SDXL, or one tensor under any name (`emb_params`, `<token>`,
 * `string_to_param.*`), whose width tells its encoder.
 * @param widths of text encoder 1 and 2
 * @throws UserError embedding/wrong-kind, embedding/width
 */
export async function textualInversionOf(
  { path, tensors }: TensorFile,
  widths: readonly [number, number],
): Promise<TextualInversion> {
  const entries = [...tensors.values()].filter(({ name }) => !NOT_VECTORS.test(name));
  const kind = identify(tensors);
  const looksLike =
    entries.length > 0 && entries.length <= 2 && entries.every(({ shape }) => shape.length === 1 || shape.length === 2);
  if ((kind !== "textual-inversion" && kind !== "unknown") || !looksLike)
    throw new UserError(
      "embedding/wrong-kind",
      `${path} is ${KIND_NAMES[kind]}, not a textual inversion embedding.`,
      "Give --embeddings files with the vectors of words (clip_l and clip_g), or a folder of them; LoRAs belong to --lora.",
    );
  const found: [TensorEntry | undefined, TensorEntry | undefined] = [undefined, undefined];
  for (const entry of entries) {
    const width = entry.shape.at(-1)!;
    const named = entry.name === "clip_l" ? 0 : entry.name === "clip_g" ? 1 : undefined;
    const which = named ?? (width === widths[0] ? 0 : 1);
    if (width !== widths[which] || found[which] !== undefined)
      throw new UserError(
        "embedding/width",
        `${path}: "${entry.name}" has vectors of ${width} numbers, and this model's text encoders read ${widths[0]} and ${widths[1]}.`,
        "Use an embedding that was made for SDXL: with clip_l and clip_g.",
      );
    found[which] = entry;
  }
  const vectors = await Promise.all(found.map((entry) => entry && rowsOf(entry)));
  return { count: Math.max(...vectors.map((rows) => rows?.length ?? 0)), vectors: [vectors[0], vectors[1]] };
}

async function rowsOf(entry: TensorEntry): Promise<Float32Array[]> {
  const values = await readFloats(entry);
  const width = entry.shape.at(-1)!;
  return Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
}
