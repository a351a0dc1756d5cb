import { POSITIONS } from "./configs.ts";

const BEGIN = "<|startoftext|>";
const END = "<|endoftext|>";
const LETTERS = [..."abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"-&()"];

/** Files of a CLIP tokenizer's folder, by name, and its special ids. */
export interface TokenizerFolder {
  readonly files: Readonly<Record<string, string>>;
  readonly ids: { readonly vocabulary: number; readonly begin: number; readonly end: number };
}

/**
 * Makes a byte-pair vocabulary in which each of `words` is one token, in the files of transformers' CLIPTokenizer. Other words split into
 * pieces whose embeddings are untrained.
 */
export function tokenizerFolder(words: readonly string[]): TokenizerFolder {
  const merges = mergesFor(words);
  const letters = new Set([...LETTERS, ...words.flatMap((word) => [...word])]);
  const pieces = [...letters, ...[...letters].map((l) => `${l}</w>`), ...merges.map((pair) => pair.replace(" ", ""))];
  const vocabulary = Object.fromEntries([...new Set(pieces), BEGIN, END].map((piece, id) => [piece, id]));
  const special = { bos_token: BEGIN, eos_token: END, unk_token: END, pad_token: END };
  const config = {
    ...special,
    tokenizer_class: "CLIPTokenizer",
    model_max_length: POSITIONS,
    do_lower_case: true,
    errors: "replace",
    add_prefix_space: false,
    clean_up_tokenization_spaces: true,
    added_tokens_decoder: Object.fromEntries(
      [BEGIN, END].map((content) => [
        vocabulary[content]!,
        { content, lstrip: false, normalized: true, rstrip: false, single_word: false, special: true },
      ]),
    ),
  };
  const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;
  return {
    files: {
      "merges.txt": `#version: 0.2\n${merges.join("\n")}\n`,
      "vocab.json": json(vocabulary),
      "tokenizer_config.json": json(config),
      "special_tokens_map.json": json(special),
    },
    ids: { vocabulary: Object.keys(vocabulary).length, begin: vocabulary[BEGIN]!, end: vocabulary[END]! },
  };
}

/** Merges the most frequent pairs until each word is one piece: Sennrich et al. 2015 (arXiv 1508.07909), algorithm 1. */
function mergesFor(words: readonly string[]): string[] {
  let split = words.map((word) => [...word].map((letter, i) => (i === word.length - 1 ? `${letter}</w>` : letter)));
  const merges: string[] = [];
  while (split.some((pieces) => pieces.length > 1)) {
    const counts = new Map<string, number>();
    for (const pieces of split)
      for (let i = 0; i + 1 < pieces.length; i++) {
        const pair = `${pieces[i]} ${pieces[i + 1]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    const [best] = [...counts].reduce((a, b) => (b[1] > a[1] || (b[1] === a[1] && b[0] < a[0]) ? b : a));
    merges.push(best);
    const [left, right] = best.split(" ") as [string, string];
    split = split.map((pieces) => {
      const joined: string[] = [];
      for (let i = 0; i < pieces.length; i++) {
        const both = pieces[i] === left && pieces[i + 1] === right;
        joined.push(both ? left + right : pieces[i]!);
        if (both) i++;
      }
      return joined;
    });
  }
  return merges;
}
