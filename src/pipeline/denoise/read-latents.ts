import { type FloatArray, floats } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";
import { readFloats } from "../../weights/read-tensor.ts";
import { writeSafetensors } from "../../weights/safetensors-write.node.ts";
import type { TensorEntry } from "../../weights/tensor-entry.ts";

/** Names that a file of latents may have, the best first. */
const NAMES = ["initial_noise", "latents"];

/**
 * Noise to begin with: from a safetensors file, or as it is.
 * @throws UserError latents/missing, latents/shape, and those of openTensors
 */
export async function readLatents(source: string | FloatArray, dims: readonly number[]): Promise<Float32Array> {
  if (typeof source !== "string") {
    checkShape("The latents given", source.dims, dims);
    return source.data;
  }
  const path = source;
  const { tensors } = await openTensors(path);
  const entry =
    NAMES.map((name) => tensors.get(name)).find((e) => e !== undefined) ??
    (tensors.size === 1 ? [...tensors.values()][0] : undefined);
  if (entry === undefined)
    throw new UserError(
      "latents/missing",
      `${path} has no tensor ${NAMES.map((n) => `"${n}"`).join(" or ")}: it has ${[...tensors.keys()].slice(0, 5).join(", ")}.`,
      "Give a file that --save-latents wrote, or name the tensor so.",
    );
  checkShape(`The latents in ${path}`, entry.shape, dims);
  return readFloats(entry);
}

function checkShape(what: string, given: readonly number[], wanted: readonly number[]): void {
  if (given.length === wanted.length && given.every((d, i) => d === wanted[i])) return;
  throw new UserError(
    "latents/shape",
    `${what} are [${given.join(", ")}], and these pictures need [${wanted.join(", ")}].`,
    "Ask for pictures of the size and number that the latents were made for.",
  );
}

/** Writes the noise that a run began with and the latents that it ended with. */
export async function writeLatents(
  path: string,
  initialNoise: Float32Array,
  final: Float32Array,
  dims: readonly number[],
): Promise<void> {
  const tensor = (name: string, data: Float32Array) => ({ name, dtype: "F32" as const, shape: dims, data });
  await writeSafetensors(path, [tensor("initial_noise", initialNoise), tensor("latents", final)]);
}

/** Names under which programs save face embeddings. */
const FACES = ["id_embeds", "pmid.id_embeds"];

/**
 * Face embeddings for a V2 adapter: from a file, in the tensor `id_embeds` or the only one [photos, width], or as they are. A vector alone is
 * that of one photo.
 * @throws UserError id-embeds/unnamed, and those of openTensors
 */
export async function readIdEmbeds(source: string | FloatArray): Promise<FloatArray> {
  if (typeof source !== "string") return source;
  const { tensors } = await openTensors(source);
  const possible = [...tensors.values()].filter(
    ({ dtype, shape }) => /^B?F/.test(dtype) && shape.length >= 1 && shape.slice(1, -1).every((n) => n === 1),
  );
  const named = FACES.flatMap((name) => tensors.get(name) ?? [])[0];
  const entry = named ?? (possible.length === 1 ? possible[0] : undefined);
  if (entry === undefined || !possible.includes(entry))
    throw new UserError(
      "id-embeds/unnamed",
      `${source} has no tensor that is recognised as face embeddings: ${tensorList([...tensors.values()])}.`,
      "Save them as id_embeds, or alone in a file, as floats [photos, width].",
    );
  const { shape } = entry;
  return floats(await readFloats(entry), shape.length === 1 ? 1 : shape[0]!, shape.at(-1)!);
}

const tensorList = (entries: readonly TensorEntry[]): string => {
  const shown = entries.slice(0, 5).map(({ name, dtype, shape }) => `${name} ${dtype} [${shape}]`);
  return entries.length === 0
    ? "it has none"
    : `it has ${shown.join(", ")}${entries.length > 5 ? ` and ${entries.length - 5} more` : ""}`;
};
