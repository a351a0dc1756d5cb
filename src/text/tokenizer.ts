import { z } from "zod";
import { UserError } from "../core/errors.ts";
import { BytePairs, byteLetters } from "./bpe.ts";
import { cleanText, tidySpaces, WORDS } from "./clean.ts";

export interface TokenizerFiles {
  /** Content of merges.txt */
  readonly merges: string;
  /** Content of vocab.json; without it, CLIP's vocabulary, which follows from the merges. */
  readonly vocabulary?: Readonly<Record<string, number>>;
  /** Content of tokenizer_config.json, with special_tokens_map.json's fields */
  readonly config?: unknown;
}

const token = z.union([z.string(), z.object({ content: z.string() }).transform((t) => t.content)]);
const schema = z.looseObject({
  bos_token: token.default("<|startoftext|>"),
  eos_token: token.default("<|endoftext|>"),
  unk_token: token.default("<|endoftext|>"),
  pad_token: token.default("<|endoftext|>"),
  model_max_length: z.number().positive().default(77),
  added_tokens_decoder: z.record(z.string(), z.looseObject({ content: z.string() })).default({}),
});

/** CLIP's byte-pair tokenizer: Radford et al. 2021 (arXiv 2103.00020), section 2.4. */
export interface Tokenizer {
  /** Ids with begin and end token, without padding. */
  encode(text: string): number[];
  /** The same ids without begin and end, those of each word together. */
  words(text: string): number[][];
  /** The text of ids; encoding it again gives the same ids. Lower case, spaces tidied. */
  decode(ids: readonly number[]): string;
  /** The same tokenizer, which also knows `word` as a token, wherever it occurs in a text. */
  withToken(word: string): { readonly tokenizer: Tokenizer; readonly id: number };
  readonly begin: number;
  readonly end: number;
  readonly pad: number;
  /** Longest text in tokens, with begin and end. */
  readonly maxLength: number;
}

/** @throws UserError tokenizer/config, tokenizer/vocabulary */
export function createTokenizer({ merges, vocabulary, config }: TokenizerFiles): Tokenizer {
  const parsed = schema.safeParse(config ?? {});
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new UserError(
      "tokenizer/config",
      `tokenizer_config.json is not supported: ${issue.path.join(".")}: ${issue.message}.`,
      "Use the tokenizer folders that the model was published with.",
    );
  }
  const c = parsed.data;
  const pairs = merges
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#version"));
  const ids = vocabulary === undefined ? clipVocabulary(pairs) : new Map(Object.entries(vocabulary));
  for (const [id, { content }] of Object.entries(c.added_tokens_decoder)) ids.set(content, Number(id));
  const idOf = (content: string): number => {
    const id = ids.get(content);
    if (id === undefined)
      throw new UserError(
        "tokenizer/vocabulary",
        `The tokenizer's vocabulary has no "${content}".`,
        "Use the tokenizer folders that the model was published with.",
      );
    return id;
  };
  const special = new Set([c.bos_token, c.eos_token, c.unk_token, c.pad_token]);
  for (const { content } of Object.values(c.added_tokens_decoder)) special.add(content);
  return tokenizerOf({
    ids,
    added: new Map(),
    next: [...ids.values()].reduce((a, b) => Math.max(a, b), -1) + 1,
    special: [...special],
    bpe: new BytePairs(pairs),
    begin: idOf(c.bos_token),
    end: idOf(c.eos_token),
    pad: idOf(c.pad_token),
    unknown: idOf(c.unk_token),
    maxLength: Math.min(c.model_max_length, Number.MAX_SAFE_INTEGER),
  });
}

/** CLIP's vocabulary, in order: bytes, bytes that end a word, merges, begin and end. */
function clipVocabulary(pairs: readonly string[]): Map<string, number> {
  const letters = byteLetters.map(({ letter }) => letter);
  const pieces = [...letters, ...letters.map((l) => `${l}</w>`), ...pairs.map((p) => p.replace(" ", ""))];
  return new Map([...pieces, "<|startoftext|>", "<|endoftext|>"].map((piece, id) => [piece, id]));
}

interface State {
  readonly ids: ReadonlyMap<string, number>;
  /** Tokens beyond the vocabulary, kept apart from it because copying it takes a while. */
  readonly added: ReadonlyMap<string, number>;
  /** The first unused id. */
  readonly next: number;
  readonly special: readonly string[];
  readonly bpe: BytePairs;
  readonly begin: number;
  readonly end: number;
  readonly pad: number;
  readonly unknown: number;
  readonly maxLength: number;
}

const letterOf = new Map(byteLetters.map(({ byte, letter }) => [byte, letter]));
const byteOf = new Map(byteLetters.map(({ byte, letter }) => [letter, byte]));

function tokenizerOf(state: State): Tokenizer {
  const { ids, added, special, bpe, begin, end, pad, unknown, maxLength } = state;
  const idOf = (piece: string): number | undefined => added.get(piece) ?? ids.get(piece);
  const escaped = special.toSorted((a, b) => b.length - a.length).map((s) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const specials = new RegExp(`(${escaped.join("|")})`, "u");

  function plain(text: string): number[][] {
    const words = cleanText(text).match(WORDS) ?? [];
    return words.map((word) => {
      const letters = Array.from(new TextEncoder().encode(word), (byte) => letterOf.get(byte)!).join("");
      return bpe.split(letters).map((piece) => idOf(piece) ?? unknown);
    });
  }
  /** Splitting by a group puts the special tokens at odd indices. */
  const words = (text: string): number[][] =>
    text.split(specials).flatMap((part, i) => (i % 2 === 1 ? [[idOf(part)!]] : plain(part)));
  return {
    begin,
    end,
    pad,
    maxLength,
    words,
    encode: (text) => [begin, ...words(text).flat(), end],
    decode(list) {
      const wanted = new Set(list);
      const pieces = new Map<number, string>();
      for (const map of [ids, added]) for (const [piece, id] of map) if (wanted.has(id)) pieces.set(id, piece);
      const joined = list.map((id) => pieces.get(id) ?? "").join("");
      const bytes = Uint8Array.from([...joined].map((letter) => byteOf.get(letter) ?? 0xff));
      return tidySpaces(new TextDecoder().decode(bytes).replaceAll("</w>", " ").trim());
    },
    withToken(word) {
      const id = idOf(word) ?? state.next;
      const next = Math.max(state.next, id + 1);
      return { tokenizer: tokenizerOf({ ...state, added: new Map(added).set(word, id), next, special: [...special, word] }), id };
    },
  };
}
