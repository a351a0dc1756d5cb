import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { type PromptPiece, plainText } from "./prompt-pieces.ts";
import type { TokenOrBreak, WeightedToken } from "./prompt-tokens.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { findTrigger } from "./trigger.ts";

export interface PersonTokenOptions {
  readonly trigger: string;
  /** Number of ID tokens: photos, times the adapter's tokens per photo. */
  readonly repeats: number;
  /** Whether every ID token must have its place: V1 works with fewer. */
  readonly everyToken: boolean;
  /** Of `repeats`; absent where ID tokens were given and no photos. */
  readonly tokensPerPhoto?: number | undefined;
}

export interface PersonTokens {
  /** Without the trigger word. */
  readonly plain: readonly TokenOrBreak[];
  /** The same with the class word once for each ID token. */
  readonly merged: readonly TokenOrBreak[];
  /** The class word's last token in both, counted without begin. */
  readonly at: number;
  /** How many ID tokens have their place: all are in the first chunk. */
  readonly used: number;
  readonly notices: readonly Notice[];
}

/**
 * Makes room for the stacked ID embedding in a weighted text: PhotoMaker (arXiv 2312.04461), section 3.2. The class word is the last word before
 * the trigger word, whatever commas or brackets lie between. All ID tokens stand in the first chunk, side by side. Their weight is that of the
 * trigger word, or of the class word where the trigger word has none.
 * @param pieces what the tokens were made of, with a tokenizer that knows the trigger word
 * @param length tokens of a chunk
 * @throws UserError prompt/trigger-missing, prompt/trigger-repeated, prompt/class-missing, prompt/trigger-cut, prompt/class-cut, prompt/person-scheduled
 */
export function personTokens(
  tokens: readonly TokenOrBreak[],
  pieces: readonly PromptPiece[],
  options: PersonTokenOptions & {
    readonly triggerId: number;
    /** That does not know the trigger word. */
    readonly tokenizer: Tokenizer;
    readonly length: number;
    readonly what: string;
  },
): PersonTokens {
  const { trigger, triggerId, repeats, everyToken, tokensPerPhoto, tokenizer, length, what } = options;
  const prompt = plainText(pieces);
  const flat = tokens.map((token) => (token === "break" ? -1 : token.id));
  const anywhere = { length: Number.MAX_SAFE_INTEGER, pad: tokenizer.pad };
  const at = findTrigger([tokenizer.begin, ...flat], triggerId, { trigger, prompt, what, window: anywhere }) - 1;
  const given = `The ${what} is: "${prompt}".`;
  const before = tokens.slice(0, at);
  const classAt = marksFrom(before, tokenizer) - 1;
  if (classAt < 0)
    throw new UserError(
      "prompt/class-missing",
      `No class word stands before "${trigger}". ${given}`,
      `Say what the person is first, as in "man ${trigger}": man, woman, boy, girl, person.`,
    );
  const classToken = tokens[classAt] as WeightedToken;
  const triggerToken = tokens[at] as WeightedToken;
  if (classToken.scheduled || triggerToken.scheduled)
    throw new UserError(
      "prompt/person-scheduled",
      `The class word or the trigger word "${trigger}" comes and goes with the steps. ${given}`,
      `Put "man ${trigger}" outside of [before:after:0.4] and [this|that]; --start-merge-step says when the person comes in.`,
    );
  if (before.includes("break") || classAt >= length)
    throw new UserError(
      "prompt/trigger-cut",
      `The trigger word "${trigger}" stands beyond the first ${length} tokens of the ${what}, or behind a BREAK. ${given}`,
      "Move the person to the beginning of the prompt: what follows may be of any length.",
    );
  const free = length - classAt;
  const used = Math.min(repeats, free);
  /** What goes into so many places. */
  const inPlaces = (places: number): string =>
    tokensPerPhoto === undefined ? `${places} ID tokens` : `${Math.floor(places / tokensPerPhoto)} photos`;
  if (used < repeats && everyToken)
    throw new UserError(
      "prompt/class-cut",
      `The class word stands so late in the ${what} that ${repeats - used} of the ${repeats} ID tokens find no place in its first ${length} tokens: ${inPlaces(free)} fit.`,
      `Move the person to the beginning of the prompt, or give no more than ${inPlaces(free)}.`,
    );
  const notices: Notice[] = [];
  const words = prompt
    .slice(0, prompt.indexOf(trigger))
    .split(/\s+/u)
    .map((text) => text.replace(AROUND, ""));
  const named = words.filter((text) => text !== "");
  const several = named.at(-1) ?? "";
  const word = tokenizer.words(several).flat();
  if (word.length > 1)
    notices.push({
      code: "prompt/class-several-tokens",
      message: `The class word "${several}" is ${word.length} tokens long, and only its last one is replaced by the person: prefer man, woman, boy, girl or person.`,
    });
  const meant = named.findLast((text) => PERSON_WORD.test(text));
  if (meant !== undefined && !PERSON_WORD.test(several))
    notices.push({
      code: "prompt/class-unusual",
      message: `The person takes the place of "${several}", the last word before "${trigger}". If "${meant}" is meant, write "${meant} ${trigger}".`,
    });
  if (used < repeats)
    notices.push({
      code: "prompt/class-cut",
      message: `${repeats - used} of ${repeats} ID tokens do not fit: there is room for ${inPlaces(free)} from the class word to the end of the first ${length} tokens of the ${what}.`,
    });
  const plain = tokens.filter((_, i) => i !== at);
  const weight = triggerToken.weight === 1 ? classToken.weight : triggerToken.weight;
  const person = { ...classToken, weight };
  return {
    plain,
    merged: [...plain.slice(0, classAt), ...Array<WeightedToken>(used).fill(person), ...plain.slice(classAt + 1)],
    ...{ at: classAt, used, notices },
  };
}

/** Words for people, as captions have them. */
const PERSON_WORD =
  /^(wo)?m[ae]n$|^(boy|girl|guy|lady|kid|bab(y|ie)|teenager|teen|toddler|person|gentlem[ae]n|(fe)?male|adult)s?$|^(child(ren)?|people|ladies|babies)$/i;

/** What may stand between a class word and its trigger word: punctuation, signs and emoji. */
const MARKS = "[\\s\\p{P}\\p{S}\\u200d\\ufe0f]";
const AROUND = new RegExp(`^${MARKS}+|${MARKS}+$`, "gu");
const ALL_MARKS = new RegExp(`^${MARKS}*$`, "u");
/** Tokens that a sign may be cut into: one for each byte. */
const MOST_PIECES = 4;

/** Where the marks at the end of a text begin. */
function marksFrom(tokens: readonly TokenOrBreak[], tokenizer: Tokenizer): number {
  let from = tokens.length;
  for (let i = from - 1; i >= 0 && from - i <= MOST_PIECES; i--) {
    const token = tokens[i]!;
    if (token === "break") from = i;
    else if (token.vector !== undefined) break;
    else if (isMarks(tokens.slice(i, from), tokenizer)) from = i;
  }
  return from;
}

function isMarks(tokens: readonly TokenOrBreak[], tokenizer: Tokenizer): boolean {
  const text = tokenizer.decode(tokens.flatMap((token) => (token === "break" ? [] : [token.id])));
  return !text.includes("\ufffd") && ALL_MARKS.test(text);
}
