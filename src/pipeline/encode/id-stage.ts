import { type FloatArray, floats } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import { contentKey, type EncodingCache } from "../../sessions/encoding-cache.ts";
import type { IdGraph } from "../../sessions/graphs.ts";
import type { LazySession, LoadObserver } from "../../sessions/lazy-session.ts";

export interface IdEncoder {
  readonly graph: IdGraph;
  readonly encode: LazySession<"tokens">;
  readonly fuse: LazySession<"fused">;
  /** Whether every ID token must have a position in the prompt, as V2 needs. */
  readonly everyToken: boolean;
  /** Number of changes of the adapter, part of the cache key: encodings by another adapter are not reused. */
  readonly changes: number;
}

/**
 * Encodes photos as ID tokens, in order. The encoder is loaded only if a photo is not in the cache.
 * @param pixels one [3, image, image] for each photo
 * @param faces [photos, width] for V2
 * @returns [photos · tokens, D]
 * @throws UserError id-embeds/missing, id-embeds/not-wanted, id-embeds/shape
 */
export async function encodePhotos(
  { graph, encode, changes }: IdEncoder,
  pixels: readonly Float32Array[],
  faces: FloatArray | undefined,
  cache: EncodingCache,
  observer: LoadObserver,
): Promise<FloatArray> {
  checkFaces(graph, pixels.length, faces);
  const size = 3 * graph.image * graph.image;
  const rows: Float32Array[] = [];
  for (const [i, photo] of pixels.entries()) {
    const face = faces && floats(faces.data.slice(i * graph.faceWidth, (i + 1) * graph.faceWidth), 1, graph.faceWidth);
    if (photo.length !== size) throw new TypeError(`a photo of ${photo.length} values where ${size} are expected`);
    const key = await contentKey(encode.name, [changes], photo, face?.data ?? []);
    const known = cache.get(key);
    if (known !== undefined) {
      rows.push(known.tokens!.data);
      continue;
    }
    const session = await encode.get(observer);
    const feeds = { pixels: floats(photo, 1, 3, graph.image, graph.image), ...(face && { faces: face }) };
    const tokens = (await session.run(feeds)).tokens.data as Float32Array;
    cache.set(key, { tokens: floats(tokens, tokens.length) });
    rows.push(tokens);
  }
  const count = pixels.length * graph.tokensPerPhoto;
  const out = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0));
  for (const [i, row] of rows.entries()) out.set(row, i * row.length);
  return floats(out, count, out.length / count);
}

/**
 * Checks the shape of ID tokens from the caller.
 * @throws UserError id-tokens/shape
 */
export function checkIdTokens({ width }: IdGraph, idTokens: FloatArray): FloatArray {
  const { dims } = idTokens;
  if (dims.length === 2 && dims[0]! > 0 && dims[1] === width) return idTokens;
  throw new UserError(
    "id-tokens/shape",
    `The ID tokens are [${dims.join(", ")}], and this adapter's are [tokens, ${width}].`,
    "Make them with encodeIdImages of the same adapter.",
  );
}

function checkFaces({ faceWidth }: IdGraph, photos: number, faces: FloatArray | undefined): void {
  if (faceWidth === 0) {
    if (faces === undefined) return;
    throw new UserError(
      "id-embeds/not-wanted",
      "Face embeddings are given, and a V1 adapter does not use them.",
      "Leave --id-embeds (idEmbeds) out, or use a V2 adapter.",
    );
  }
  if (faces === undefined)
    throw new UserError(
      "id-embeds/missing",
      "A V2 adapter needs the face embedding of every photo.",
      `Give a file with them, [photos, ${faceWidth}] (InsightFace, not normalised; .npy, or safetensors with id_embeds or that tensor alone): --id-embeds <file> (idEmbeds in code).`,
    );
  if (faces.dims.length !== 2 || faces.dims[0] !== photos || faces.dims[1] !== faceWidth)
    throw new UserError(
      "id-embeds/shape",
      `The face embeddings are [${faces.dims.join(", ")}], and ${photos} photo(s) need [${photos}, ${faceWidth}].`,
      "Give one row for each photo, in the order of the photos.",
    );
  for (let row = 0; row < photos; row++) {
    const length = Math.hypot(...faces.data.subarray(row * faceWidth, (row + 1) * faceWidth));
    if (length > 0 && Number.isFinite(length)) continue;
    throw new UserError(
      "id-embeds/no-face",
      `The face embedding of photo ${row + 1} ${length === 0 ? "is all zeros" : "holds something that is not a number"}.`,
      "Make it again: the program that made it found no face in the photo, or failed.",
    );
  }
}

/**
 * Merges the stacked ID embedding into a prompt: at each position of the class word, the text embedding is fused with one ID token.
 * PhotoMaker (arXiv 2312.04461), section 3.2. The fusion model is loaded only if its result is not in the cache.
 * @param context [S, D] the prompt with its class word repeated
 * @param places positions of the repeated class word; fewer than tokens if the text was cut
 * @returns [S, D]
 */
export async function stackIds(
  { fuse, changes }: IdEncoder,
  context: FloatArray,
  places: readonly number[],
  idTokens: FloatArray,
  cache: EncodingCache,
  observer: LoadObserver,
): Promise<FloatArray> {
  const width = context.dims[1]!;
  const rows = places.length;
  const classEmbeds = new Float32Array(rows * width);
  for (const [i, place] of places.entries())
    classEmbeds.set(context.data.subarray(place * width, (place + 1) * width), i * width);
  const used = idTokens.data.slice(0, rows * width);
  const key = await contentKey(fuse.name, [changes], classEmbeds, used);
  let fused = cache.get(key)?.fused;
  if (fused === undefined) {
    const session = await fuse.get(observer);
    const made = await session.run({ classEmbeds: floats(classEmbeds, rows, width), idTokens: floats(used, rows, width) });
    fused = floats(made.fused.data as Float32Array, rows, width);
    cache.set(key, { fused });
  }
  const out = context.data.slice();
  for (const [i, place] of places.entries()) out.set(fused.data.subarray(i * width, (i + 1) * width), place * width);
  return floats(out, ...context.dims);
}
