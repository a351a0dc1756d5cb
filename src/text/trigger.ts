import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { cutNotice, padTo, truncate, type Window } from "./window.ts";

export interface TriggerPrompt {
  /** Ids with the class word once for each ID token, and without the trigger word. */
  readonly ids: readonly number[];
  /** Positions of the class word in `ids`; fewer than ID tokens if some are cut off. */
  readonly classPositions: readonly number[];
  /** The prompt without the trigger word: what the model is told before the identity is merged in. */
  readonly textOnly: string;
  readonly notices: readonly Notice[];
}

/**
 * Encodes a prompt with room for the stacked ID embedding: PhotoMaker (arXiv 2312.04461), section 3.2.
 * The token before the trigger word is the class word; it is repeated for each ID token.
 *
 *     "a man img in a city", two ID tokens  ->  a man man in a city
 *
 * @example
 * ```js
 * import { expandTrigger, sdxlTokenizer } from "photomaker/tokenizer";
 *
 * const tokenizer = sdxlTokenizer("tokenizer");
 * const window = { length: 77, pad: 49407 };
 * const { ids, classPositions, textOnly } = expandTrigger(tokenizer, "a photo of a man img", {
 *   trigger: "img",
 *   repeats: 2,
 *   everyToken: false,
 *   window,
 * });
 * console.log(ids.length, classPositions.join()); // 77 5,6
 * console.log(textOnly); // a photo of a man
 * ```
 * @param repeats number of ID tokens: photos, times the adapter's tokens per photo
 * @throws UserError prompt/trigger-missing, prompt/trigger-repeated, prompt/class-missing, prompt/trigger-cut, prompt/class-cut
 * @see TencentARC/PhotoMaker 060b4fc photomaker/pipeline.py encode_prompt_with_trigger_word
 */
export function expandTrigger(
  plain: Tokenizer,
  prompt: string,
  {
    trigger,
    repeats,
    window,
    everyToken,
    tokensPerPhoto,
    what = "prompt",
  }: {
    readonly trigger: string;
    readonly repeats: number;
    readonly window: Window;
    /** Whether every ID token must have a position in the window: V1 works with fewer. */
    readonly everyToken: boolean;
    /** Of `repeats`; absent where ID tokens were given and no photos. */
    readonly tokensPerPhoto?: number | undefined;
    readonly what?: string;
  },
): TriggerPrompt {
  const { tokenizer, id } = plain.withToken(trigger);
  const all = tokenizer.encode(prompt);
  const at = findTrigger(all, id, { trigger, prompt, window, what });
  const kept = truncate(all, window.length);
  const { ids, positions } = repeatClassWord(kept, id, repeats, window.length);
  const notices: Notice[] = [];
  /** What goes into so many places. */
  const inPlaces = (free: number): string =>
    tokensPerPhoto === undefined ? `${free} ID tokens` : `${Math.floor(free / tokensPerPhoto)} photos`;
  const after = window.length - (at - 1);

  const several = classWordOf(prompt, trigger);
  const pieces = plain.encode(several).length - 2;
  if (pieces > 1)
    notices.push({
      code: "prompt/class-several-tokens",
      message: `The class word "${several}" is ${pieces} tokens long, and only its last one is replaced by the person: prefer man, woman, boy, girl or person.`,
    });
  if (positions.length < repeats && (everyToken || positions.length === 0))
    throw new UserError(
      "prompt/class-cut",
      `The class word stands so late in the ${what} that ${repeats - positions.length} of the ${repeats} ID tokens find no place: ${inPlaces(after)} fit.`,
      `Move the person to the beginning of the prompt, or give no more than ${inPlaces(after)}.`,
    );
  if (positions.length < repeats)
    notices.push({
      code: "prompt/class-cut",
      message: `${repeats - positions.length} of ${repeats} ID tokens do not fit: there is room for ${inPlaces(after)} from the class word of the ${what} on, and for ${inPlaces(Math.max(0, window.length - (all.length - 2)))} with all of its words.`,
    });
  const without = all.filter((_, i) => i !== at);
  const expanded = [...without.slice(0, at), ...Array<number>(repeats - 1).fill(without[at - 1]!), ...without.slice(at)];
  const fitting = ids.filter((x) => x !== tokenizer.end).length;
  const lost = expanded.slice(Math.max(fitting, at - 1 + repeats), -1); // words, not the class word's places, of which is told above
  if (lost.length > 0) notices.push(cutNotice(tokenizer, lost, what));
  if (!ids.includes(tokenizer.end))
    notices.push({
      code: "prompt/end-cut",
      message: `With the person's ${repeats} ID tokens the ${what} fills all ${window.length} tokens of the text encoder, so its end token is cut off and the pooled text embedding knows nothing of it (as in the official code). Shorten it.`,
    });
  return {
    ids: padTo(ids, window),
    classPositions: positions,
    textOnly: tokenizer.decode(without.slice(1, -1)),
    notices,
  };
}

/**
 * The reference's step, unchanged: drops the trigger, repeats the token before it, cuts the rest. The end token may
 * be cut off as well.
 */
export function repeatClassWord(
  ids: readonly number[],
  trigger: number,
  repeats: number,
  length: number,
): { readonly ids: readonly number[]; readonly positions: readonly number[] } {
  const at = ids.indexOf(trigger) - 1;
  const clean = ids.filter((id) => id !== trigger);
  const repeated = [...clean.slice(0, at), ...Array<number>(repeats).fill(clean[at]!), ...clean.slice(at + 1)].slice(0, length);
  const positions = Array.from({ length: repeats }, (_, i) => at + i).filter((place) => place < length);
  return { ids: repeated, positions };
}

/** @throws UserError prompt/trigger-in-negative */
export function refuseTriggerInNegative(plain: Tokenizer, text: string, trigger: string): void {
  const { tokenizer, id } = plain.withToken(trigger);
  if (tokenizer.encode(text).includes(id))
    throw new UserError(
      "prompt/trigger-in-negative",
      `The negative prompt contains the trigger word "${trigger}": "${text}".`,
      `Remove "${trigger}" from the negative prompt: the person belongs in the prompt only.`,
    );
}

export interface Search {
  readonly trigger: string;
  readonly prompt: string;
  readonly window: Window;
  readonly what: string;
}

/**
 * Where the trigger word stands.
 * @param ids with the begin token
 * @throws UserError prompt/trigger-missing, prompt/trigger-repeated, prompt/class-missing, prompt/trigger-cut
 */
export function findTrigger(ids: readonly number[], id: number, { trigger, prompt, window, what }: Search): number {
  const at = ids.flatMap((x, i) => (x === id ? [i] : []));
  const given = `The ${what} is: "${prompt}".`;
  const other = otherSpelling(prompt, trigger);
  if (at.length === 0 || (at.length === 1 && other?.includes(trigger)))
    throw new UserError(
      "prompt/trigger-missing",
      other === undefined
        ? `The ${what} has no trigger word "${trigger}". ${given}`
        : `The ${what} has "${other}", and the trigger word is "${trigger}", in exactly these letters. ${given}`,
      other === undefined
        ? `Put "${trigger}" right after the class word, as in "a photo of a man ${trigger}".`
        : `Write "${trigger}" instead of "${other}": capitals and brackets count.`,
    );
  if (at.length > 1)
    throw new UserError("prompt/trigger-repeated", `"${trigger}" occurs ${at.length} times. ${given}`, `Keep one "${trigger}".`);
  if (at[0] === 1)
    throw new UserError(
      "prompt/class-missing",
      `No class word stands before "${trigger}". ${given}`,
      `Say what the person is first, as in "man ${trigger}": man, woman, boy, girl, person.`,
    );
  if (at[0]! >= window.length - 1)
    throw new UserError(
      "prompt/trigger-cut",
      `The trigger word "${trigger}" stands beyond the ${window.length} tokens that the text encoder reads. ${given}`,
      "Move the person to the beginning of the prompt.",
    );
  return at[0]!;
}

/** The trigger word as it stands in a text with other capitals or in brackets, such as IMG or <img>; undefined if it does not. */
function otherSpelling(prompt: string, trigger: string): string | undefined {
  const word = trigger.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const pattern = new RegExp(`<${word}>|\\[${word}\\]|\\{${word}\\}|(?<![\\p{L}\\p{N}])${word}(?![\\p{L}\\p{N}])`, "giu");
  return [...prompt.matchAll(pattern)].map(([found]) => found).find((found) => found !== trigger);
}

/** The word before the trigger word. */
export function classWordOf(prompt: string, trigger: string): string {
  return prompt.slice(0, prompt.indexOf(trigger)).trim().split(/\s+/u).at(-1) ?? "";
}
