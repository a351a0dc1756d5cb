import type { Notice } from "../core/notice.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A text encoder's input: its length in tokens, 77 for CLIP, and the token that pads shorter texts. */
export interface Window {
  readonly length: number;
  readonly pad: number;
}

export const padTo = (ids: readonly number[], { length, pad }: Window): number[] =>
  Array.from({ length }, (_, i) => ids[i] ?? pad);

/** Ids cut to `length`, keeping the end token. */
export function truncate(ids: readonly number[], length: number): readonly number[] {
  return ids.length <= length ? ids : [...ids.slice(0, length - 1), ids.at(-1)!];
}

/**
 * Encodes a text for one encoder, padded or cut to its window.
 * @param what the text's name in messages, such as "negative prompt"
 */
export function encodePlain(
  tokenizer: Tokenizer,
  text: string,
  window: Window,
  what: string,
): { readonly ids: readonly number[]; readonly notices: readonly Notice[] } {
  const all = tokenizer.encode(text);
  const notices = all.length > window.length ? [cutNotice(tokenizer, all.slice(window.length - 1, -1), what)] : [];
  return { ids: padTo(truncate(all, window.length), window), notices };
}

export const cutNotice = (tokenizer: Tokenizer, lost: readonly number[], what: string): Notice => ({
  code: "prompt/cut",
  message: `The ${what} is too long for the text encoder. These words are lost: "${tokenizer.decode(lost)}".`,
});
