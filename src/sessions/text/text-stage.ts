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

/** Token ids for both encoders, each as long as its window. */
export interface TextIds {
  readonly first: readonly number[];
  readonly second: readonly number[];
}

/**
 * Encodes a text as SDXL does: the hidden states before the last layer of both encoders, concatenated, and the pooled vector of the second.
 * Podell et al. 2023 (arXiv 2307.01952), section 2.1.
 * @param clipSkip further layers to skip
 */
export async function encodeText(
  [one, two]: readonly [TextEncoder, TextEncoder],
  ids: TextIds,
  clipSkip: number,
  cache: EncodingCache,
  observer: LoadObserver,
): Promise<TextEmbeds> {
  const first = await encode(one, ids.first, clipSkip, cache, observer);
  const second = await encode(two, ids.second, clipSkip, cache, observer);
  return { context: sideBySide(first.hidden, second.hidden), pooled: second.pooled };
}

/** An embedding of zeros, which SDXL uses for no negative prompt. */
export const noText = ([one, two]: readonly [TextEncoder, TextEncoder]): TextEmbeds => {
  const [a, b] = [one.graph.settings, two.graph.settings];
  const width = a.width + b.width;
  return {
    context: floats(new Float32Array(a.positions * width), a.positions, width),
    pooled: floats(new Float32Array(b.projection ?? 0), b.projection ?? 0),
  };
};

type Encoded = { readonly hidden: FloatArray; readonly pooled: FloatArray };

/** Encodes a text with one encoder, which is loaded only if the text is not in the cache. */
async function encode(
  encoder: TextEncoder,
  ids: readonly number[],
  clipSkip: number,
  cache: EncodingCache,
  observer: LoadObserver,
): Promise<Encoded> {
  const key = await contentKey(encoder.session.name, [clipSkip, encoder.changes], ids);
  const known = cache.get(key);
  if (known !== undefined) return known as Encoded;
  const encoded = await run(encoder, ids, clipSkip, observer);
  cache.set(key, encoded);
  return encoded;
}

async function run(
  { graph, session }: TextEncoder,
  ids: readonly number[],
  clipSkip: number,
  observer: LoadObserver,
): Promise<Encoded> {
  const { settings, unfinished } = graph;
  const hidden = `hidden_${settings.layers - 1 - clipSkip}`;
  const loaded = await session.get(observer);
  const feeds = { ids: integers(ids, 1, ids.length), pooledAt: integers([endOf(ids, settings)], 1) };
  const pooled = "pooled" in unfinished.outputs;
  const out = await loaded.run(pooled ? feeds : { ids: feeds.ids }, pooled ? [hidden, "pooled"] : [hidden]);
  return {
    hidden: floats(out[hidden]!.data as Float32Array, ids.length, settings.width),
    pooled: floats((out.pooled?.data as Float32Array | undefined) ?? new Float32Array(), settings.projection ?? 0),
  };
}

/** Position of the end token; 0 when the text was cut and has none, as in the reference. */
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
