import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import type { PromptPiece } from "./prompt-pieces.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { Window } from "./window.ts";

/** A token of a weighted text. */
export interface WeightedToken {
  readonly id: number;
  readonly weight: number;
  /** What stands in the place of the id's embedding: a vector of a textual inversion, as wide as the encoder. */
  readonly vector?: Float32Array | undefined;
  /** Tokens of one word share an object, and are not parted by the border of a chunk. */
  readonly word: object;
  readonly scheduled: boolean;
}

export type TokenOrBreak = WeightedToken | "break";

/** A textual inversion for both text encoders: [vectors, width] as rows; undefined where it says nothing to an encoder. */
export interface EmbeddingVectors {
  readonly count: number;
  readonly vectors: readonly [readonly Float32Array[] | undefined, readonly Float32Array[] | undefined];
}

export interface TokensOptions {
  readonly tokenizer: Tokenizer;
  /** Which encoder. */
  readonly which: 0 | 1;
  readonly embeddings: ReadonlyMap<string, EmbeddingVectors>;
  readonly what: string;
}

/** Tokens of pieces; an embedding that is not loaded is left out, and said. */
export function tokensOf(
  pieces: readonly PromptPiece[],
  { tokenizer, which, embeddings, what }: TokensOptions,
): { readonly tokens: readonly TokenOrBreak[]; readonly notices: readonly Notice[] } {
  const notices: Notice[] = [];
  const tokens = pieces.flatMap(({ text, embedding, break: isBreak, weight, scheduled }): TokenOrBreak[] => {
    if (isBreak) return ["break"];
    if (text !== undefined) notices.push(...namesAsWords(text, embeddings, what));
    if (text !== undefined)
      return tokenizer.words(text).flatMap((ids) => {
        const word = {};
        return ids.map((id) => ({ id, weight, word, scheduled }));
      });
    const found = embeddings.get(embeddingKey(embedding!));
    if (found === undefined) {
      notices.push(unknownEmbedding(embedding!, embeddings, what));
      return [];
    }
    if (found.vectors[which] === undefined)
      notices.push({
        code: "prompt/embedding-one-encoder",
        message: `embedding:${embedding} in the ${what} has vectors for text encoder ${2 - which} alone, so it says less than one that was made for SDXL.`,
      });
    const word = {};
    // an encoder for which there are no vectors is given what pads its texts, so that both have the same number of tokens
    const id = tokenizer.pad === tokenizer.end ? (tokenizer.words(",").flat()[0] ?? tokenizer.pad) : tokenizer.pad;
    return Array.from({ length: found.count }, (_, i) => ({ id, weight, vector: found.vectors[which]?.[i], word, scheduled }));
  });
  return { tokens, notices };
}

/** As names of embeddings are compared: without the ending of a file, in lower case. */
export const embeddingKey = (name: string): string => name.replace(/\.(safetensors|pt|bin)$/i, "").toLowerCase();

function unknownEmbedding(name: string, known: ReadonlyMap<string, unknown>, what: string): Notice {
  const names = [...known.keys()];
  const there =
    names.length === 0 ? "none is loaded" : `loaded are ${names.slice(0, 8).join(", ")}${names.length > 8 ? " …" : ""}`;
  return {
    code: "prompt/embedding-unknown",
    message: `The ${what} asks for embedding:${name}, which is not there (${there}), so it is left out. Give its file or folder with --embeddings (embeddings in code).`,
  };
}

/** Names of embeddings that stand in a text as words, which A1111 would take for the embeddings. */
const namesAsWords = (text: string, known: ReadonlyMap<string, unknown>, what: string): Notice[] =>
  [...known.keys()].flatMap((name) => {
    const at = text.toLowerCase().indexOf(name);
    const around = at < 0 ? "x" : `${text[at - 1] ?? " "}${text[at + name.length] ?? " "}`;
    if (/[\p{L}\p{N}_-]/u.test(around)) return [];
    return [
      {
        code: "prompt/as-words",
        message: `In the ${what}, "${name}" is taken as plain words, and there is an embedding of this name: write embedding:${name} for it.`,
      },
    ];
  });

/** Within so many tokens a chunk ends at a comma: A1111's comma_padding_backtrack. */
const COMMA_WITHIN = 20;

/**
 * Cuts a text into chunks for the encoder, each as long as its window without begin and end. A chunk ends at a break, at the last comma if it is
 * not far, else at the end of a word.
 * @param firstAtLeast tokens that stay in the first chunk, come what may
 * @param comma id of the comma
 * @returns at least one chunk, which may be empty
 * @throws UserError prompt/embedding-long
 * @see AUTOMATIC1111/stable-diffusion-webui 82a973c modules/sd_hijack_clip.py tokenize_line, without cutting words
 */
export function chunksOf(
  tokens: readonly TokenOrBreak[],
  {
    length,
    comma,
    firstAtLeast = 0,
  }: { readonly length: number; readonly comma: number | undefined; readonly firstAtLeast?: number },
): WeightedToken[][] {
  const chunks: WeightedToken[][] = [];
  let current: WeightedToken[] = [];
  for (let at = 0; at < tokens.length; ) {
    const first = tokens[at]!;
    if (first === "break") {
      if (current.length > 0) chunks.push(current);
      current = [];
      at++;
      continue;
    }
    let end = at + 1;
    while (end < tokens.length && (tokens[end] as WeightedToken).word === first.word) end++;
    let word = tokens.slice(at, end) as WeightedToken[];
    at = end;
    if (word.length > length && first.vector !== undefined)
      throw new UserError(
        "prompt/embedding-long",
        `An embedding has ${word.length} vectors, and the text encoder reads ${length} tokens at once.`,
        "Leave it out, or take one with fewer vectors.",
      );
    if (current.length + word.length > length) {
      const last = comma === undefined ? -1 : current.findLastIndex(({ id, vector }) => id === comma && vector === undefined);
      const near = last >= 0 && current.length - last <= COMMA_WITHIN && first.id !== comma;
      const from = near && (chunks.length > 0 || last + 1 >= firstAtLeast) ? last + 1 : current.length;
      if (from > 0) chunks.push(current.slice(0, from));
      current = current.slice(from);
      while (current.length + word.length > length) {
        const room = length - current.length;
        chunks.push([...current, ...word.slice(0, room)]);
        [current, word] = [[], word.slice(room)];
      }
    }
    current.push(...word);
  }
  return current.length > 0 || chunks.length === 0 ? [...chunks, current] : chunks;
}

/** Chunks for one encoder, joined: `length` ids each, with begin, end and padding. */
export interface EncoderTokens {
  readonly ids: readonly number[];
  /** One for each id; absent where all are 1. */
  readonly weights?: readonly number[] | undefined;
  /** What stands in the place of ids, by their position. */
  readonly vectors?: ReadonlyMap<number, Float32Array> | undefined;
}

/** @param count of chunks: empty ones are added to those that are there */
export function windowsOf(
  chunks: readonly (readonly WeightedToken[])[],
  { begin, end }: Tokenizer,
  window: Window,
  count: number,
): EncoderTokens {
  const vectors = new Map<number, Float32Array>();
  const ids: number[] = [];
  const weights: number[] = [];
  for (let i = 0; i < count; i++) {
    const chunk = chunks[i] ?? [];
    const base = i * window.length;
    for (const [k, { vector }] of chunk.entries()) if (vector !== undefined) vectors.set(base + 1 + k, vector);
    const own = [begin, ...chunk.map(({ id }) => id), end];
    for (let k = 0; k < window.length; k++) {
      ids.push(own[k] ?? window.pad);
      weights.push(chunk[k - 1]?.weight ?? 1);
    }
  }
  return {
    ids,
    ...(weights.some((weight) => weight !== 1) && { weights }),
    ...(vectors.size > 0 && { vectors }),
  };
}
