import { type FloatArray, floats, integers } from "../../core/array.ts";
import type { ClipTextModelConfig } from "../../models/clip-text-config.ts";
import { contentKey, type EncodingCache } from "../encoding-cache.ts";
import type { TextGraph } from "../graphs.ts";
import type { LazySession, LoadObserver } from "../lazy-session.ts";

/** Embeddings of a text for the denoiser. */
export interface TextEmbeds {
  /** [tokens, both encoders' widths] */
  readonly context: FloatArray;
  /** [pooled width], from text encoder 2 */
  readonly pooled: FloatArray;
}

export interface TextEncoder {
  readonly graph: TextGraph;
  readonly session: LazySession<string>;
  /** Number of changes of its LoRAs, part of the cache key: encodings with other LoRAs are not reused. */
  readonly changes: number;
}

/** Token ids for both encoders: chunks, each as long as the encoder's window. */
export interface TextIds {
  readonly first: readonly number[];
  readonly second: readonly number[];
  /** How many chunks they are, if more than one. */
  readonly chunks?: number;
  /** One for each id, where not all are 1; `empty` is a chunk without words, from which weights lead away. */
  readonly weights?: TokenWeights & { readonly empty: Pick<TextIds, "first" | "second"> };
  /** What stands in the place of ids, by their position: vectors of textual inversions. */
  readonly vectors?: { readonly first: PlacedVectors; readonly second: PlacedVectors };
}

/** For the columns of each encoder. */
export interface TokenWeights {
  readonly first: readonly number[];
  readonly second: readonly number[];
}

type PlacedVectors = ReadonlyMap<number, Float32Array>;

/**
 * Encodes a text as SDXL does: the last layer but one of both encoders, side by side, and the pooled vector of the second.
 * Podell et al. 2023 (arXiv 2307.01952), section 2.1. A text of several chunks is encoded chunk by chunk; its pooled vector is the first one's.
 * @param clipSkip layers to leave out before that one
 * @param weighted whether the ids' weights are applied
 */
export async function encodeText(
  encoders: readonly [TextEncoder, TextEncoder],
  ids: TextIds,
  clipSkip: number,
  cache: EncodingCache,
  observer: LoadObserver,
  weighted = true,
): Promise<TextEmbeds> {
  const [one, two] = encoders;
  const first = await encodeChunks(
    one,
    ids.first,
    ids.first.length / (ids.chunks ?? 1),
    ids.vectors?.first,
    clipSkip,
    cache,
    observer,
  );
  const second = await encodeChunks(
    two,
    ids.second,
    ids.second.length / (ids.chunks ?? 1),
    ids.vectors?.second,
    clipSkip,
    cache,
    observer,
  );
  const context = sideBySide(first.hidden, second.hidden);
  if (ids.weights === undefined || !weighted) return { context, pooled: second.pooled };
  const empty = await encodeText(encoders, ids.weights.empty, clipSkip, cache, observer);
  return { context: weigh(context, empty.context, ids.weights, one.graph.config.width), pooled: second.pooled };
}

/**
 * Weights of tokens: each moves what the encoder says away from what it says of an empty text at the same place, e + w·(z - e), so that 1 changes
 * nothing. The pooled vector has no weights.
 * @param context [chunks · positions, width]
 * @param base [positions, width] of one chunk, or one row for each of `context`
 * @param left how many columns are the first encoder's
 * @see comfyanonymous/ComfyUI comfy/sd1_clip.py ClipTokenWeightEncoder.encode_token_weights
 */
export function weigh(context: FloatArray, base: FloatArray, { first, second }: TokenWeights, left: number): FloatArray {
  const [rows, width] = context.dims as [number, number];
  const out = context.data.slice();
  for (let row = 0; row < rows; row++) {
    const from = (row % base.dims[0]!) * width;
    for (let column = 0; column < width; column++) {
      const weight = (column < left ? first : second)[row]!;
      if (weight === 1) continue;
      const e = base.data[from + column]!;
      const at = row * width + column;
      out[at] = e + weight * (context.data[at]! - e);
    }
  }
  return floats(out, rows, width);
}

/** An embedding of zeros: what SDXL takes for no negative prompt. @param rows as many as the prompt has tokens, one chunk when absent */
export const noText = ([one, two]: readonly [TextEncoder, TextEncoder], rows = one.graph.config.positions): TextEmbeds => {
  const [a, b] = [one.graph.config, two.graph.config];
  const width = a.width + b.width;
  return {
    context: floats(new Float32Array(rows * width), rows, width),
    pooled: floats(new Float32Array(b.projection ?? 0), b.projection ?? 0),
  };
};

type Encoded = { readonly hidden: FloatArray; readonly pooled: FloatArray };

/** The hidden states of all chunks, one below the other, and the pooled vector of the first. */
async function encodeChunks(
  encoder: TextEncoder,
  ids: readonly number[],
  length: number,
  vectors: PlacedVectors = new Map(),
  ...how: [clipSkip: number, cache: EncodingCache, observer: LoadObserver]
): Promise<Encoded> {
  const chunks: Encoded[] = [];
  for (let from = 0; from < ids.length; from += length) {
    const own = [...vectors].flatMap(([at, vector]) => (at >= from && at < from + length ? [[at - from, vector] as const] : []));
    chunks.push(await encode(encoder, ids.slice(from, from + length), new Map(own), ...how));
  }
  const [first] = chunks as [Encoded];
  if (chunks.length === 1) return first;
  const [rows, width] = first.hidden.dims as [number, number];
  const hidden = new Float32Array(chunks.length * rows * width);
  for (const [i, chunk] of chunks.entries()) hidden.set(chunk.hidden.data, i * rows * width);
  return { hidden: floats(hidden, chunks.length * rows, width), pooled: first.pooled };
}

/** The encoder is loaded only if the text is not in the cache. */
async function encode(
  encoder: TextEncoder,
  ids: readonly number[],
  vectors: PlacedVectors,
  clipSkip: number,
  cache: EncodingCache,
  observer: LoadObserver,
): Promise<Encoded> {
  const placed = [...vectors].flatMap(([at, vector]) => [[at], vector]);
  const key = await contentKey(encoder.session.name, [clipSkip, encoder.changes], ids, ...placed);
  const known = cache.get(key);
  if (known !== undefined) return known as Encoded;
  const encoded = await run(encoder, ids, vectors, clipSkip, observer);
  cache.set(key, encoded);
  return encoded;
}

async function run(
  { graph, session }: TextEncoder,
  ids: readonly number[],
  vectors: PlacedVectors,
  clipSkip: number,
  observer: LoadObserver,
): Promise<Encoded> {
  const { config, unfinished } = graph;
  const hidden = `hidden_${config.layers - 1 - clipSkip}`;
  const loaded = await session.get(observer);
  const pooled = "pooled" in unfinished.outputs;
  const feeds = {
    ids: integers(ids, 1, ids.length),
    ...(pooled && { pooledAt: integers([endOf(ids, config)], 1) }),
    ...(graph.takesVectors && placedVectors(vectors, ids.length, config.width)),
  };
  const out = await loaded.run(feeds, pooled ? [hidden, "pooled"] : [hidden]);
  return {
    hidden: floats(out[hidden]!.data as Float32Array, ids.length, config.width),
    pooled: floats((out.pooled?.data as Float32Array | undefined) ?? new Float32Array(), config.projection ?? 0),
  };
}

/** Inputs of a graph that takes vectors: `given` [1, tokens, width], and `keep` [1, tokens, 1], which is 0 where one is given. */
function placedVectors(vectors: PlacedVectors, length: number, width: number) {
  const [given, keep] = [new Float32Array(length * width), new Float32Array(length).fill(1)];
  for (const [at, vector] of vectors) {
    given.set(vector, at * width);
    keep[at] = 0;
  }
  return { given: floats(given, 1, length, width), keep: floats(keep, 1, length, 1) };
}

/** Where the text ends; the first place when no end token is left, as after an overflow in the reference. */
export function endOf(ids: readonly number[], { endToken }: ClipTextModelConfig): number {
  return Math.max(0, ids.indexOf(endToken ?? ids.reduce((a, b) => Math.max(a, b), 0)));
}

function sideBySide(a: FloatArray, b: FloatArray): FloatArray {
  const [rows, left] = a.dims as [number, number];
  const right = b.dims[1]!;
  const out = new Float32Array(rows * (left + right));
  for (let i = 0; i < rows; i++) {
    out.set(a.data.subarray(i * left, (i + 1) * left), i * (left + right));
    out.set(b.data.subarray(i * right, (i + 1) * right), i * (left + right) + left);
  }
  return floats(out, rows, left + right);
}
