import type { GenerateRequest } from "../../contract/request.ts";
import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import { type PersonTokenOptions, personTokens } from "../../text/person-tokens.ts";
import { type PromptPiece, piecesAt } from "../../text/prompt-pieces.ts";
import {
  chunksOf,
  type EmbeddingVectors,
  type EncoderTokens,
  tokensOf,
  type WeightedToken,
  windowsOf,
} from "../../text/prompt-tokens.ts";
import { type PromptTag, parsePrompt } from "../../text/prompt-tree.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { expandTrigger, refuseTriggerInNegative, type TriggerPrompt } from "../../text/trigger.ts";
import { encodePlain, type Window } from "../../text/window.ts";
import type { TextIds } from "./text-stage.ts";

/** A tokenizer with the window of its encoder. */
export interface Reader {
  readonly tokenizer: Tokenizer;
  readonly window: Window;
}

/** The texts of a request as ids for both encoders, from one step on. All have equally many chunks. */
export interface PromptPhase {
  /** What the model sees before the identity is merged in, or all along without an adapter. */
  readonly text: TextIds;
  /** Prompt with room for the ID tokens, and their positions. */
  readonly identity?: { readonly ids: TextIds; readonly places: readonly number[] };
  /** Undefined for an embedding of zeros, which differs from an empty text. */
  readonly negative: TextIds | undefined;
}

/** All texts of a request: those of its first step, and those that schedules change to. */
export interface PromptIds extends PromptPhase {
  /** Absent without schedules. Each phase lasts to the next; one that comes again is the same object. */
  readonly later?: readonly { readonly from: number; readonly phase: PromptPhase }[];
  /** Files that the prompts ask for by tags. */
  readonly tags: readonly PromptTag[];
  /** Chunks of every text. */
  readonly chunks: number;
  readonly notices: readonly Notice[];
}

export type IdentityOptions = PersonTokenOptions;

type Texts = Pick<GenerateRequest, "prompt" | "prompt2" | "negativePrompt" | "negativePrompt2">;

export interface ReadingOptions {
  /** Whether weights, schedules and tags are read, and texts may be of any length; with "none", texts are words that are cut to the window. */
  readonly syntax?: "a1111" | "none";
  /** Denoising steps, for schedules. */
  readonly steps?: number;
  /** Textual inversions by {@link embeddingKey}. */
  readonly embeddings?: ReadonlyMap<string, EmbeddingVectors>;
}

/**
 * @param emptyPromptIsZeros whether no negative prompt means zeros (force_zeros_for_empty_prompt), as in SDXL, or an empty text
 * @throws UserError those of parsePrompt, personTokens and chunksOf; prompt/second-misplaced, prompt/negative-missing, prompt/trigger-in-negative
 */
export function readPrompts(
  readers: readonly [Reader, Reader],
  { prompt, prompt2, negativePrompt, negativePrompt2 }: Texts,
  identity: IdentityOptions | undefined,
  emptyPromptIsZeros: boolean,
  { syntax = "a1111", steps = 1, embeddings = new Map() }: ReadingOptions = {},
): PromptIds {
  const notices = new Map<string, Notice>();
  const note = (more: readonly Notice[]): void => {
    for (const n of more) notices.set(n.message, n); // both encoders give the same notice for the same text
  };
  const negativeText = negativePrompt ?? (emptyPromptIsZeros ? undefined : "");
  if (negativePrompt === undefined && negativePrompt2 !== undefined)
    throw new UserError(
      "prompt/negative-missing",
      "A second negative prompt is given without the first.",
      'Give a negative prompt as well; "" is allowed.',
    );
  if (identity !== undefined && negativeText !== undefined)
    for (const text of [negativeText, negativePrompt2 ?? ""])
      refuseTriggerInNegative(readers[0].tokenizer, text, identity.trigger);
  const second = prompt2 || prompt;
  const names: Named = {
    prompts: ["prompt", second === prompt ? "prompt" : "second prompt"],
    negatives: [
      "negative prompt",
      (negativePrompt2 || negativePrompt) === negativePrompt ? "negative prompt" : "second negative prompt",
    ],
  };
  if (syntax === "none") {
    const negatives = negativeText === undefined ? undefined : ([negativeText, negativePrompt2 || negativeText] as const);
    const phase = plainPhase(readers, { prompts: [prompt, second], negatives, identity, names, note });
    return { ...phase, tags: [], chunks: 1, notices: [...notices.values()] };
  }
  const trees = [prompt, second].map((text, i) => parsePrompt(text, names.prompts[i]));
  const negatives =
    negativeText === undefined
      ? undefined
      : [negativeText, negativePrompt2 || negativeText].map((text, i) => parsePrompt(text, names.negatives[i]));
  const all = [...trees, ...(negatives ?? [])];
  for (const tree of all) note(tree.notices);

  const read = new Map<string, Cut>();
  const cuts = Array.from({ length: steps }, (_, step) => {
    const pieces = trees.map(({ nodes }) => piecesAt(nodes, { step, steps }));
    const not = negatives?.map(({ nodes }) => piecesAt(nodes, { step, steps }));
    const key = JSON.stringify([pieces, not]);
    const known = read.get(key) ?? cutPhase(readers, { pieces, not, identity, embeddings, names, note });
    read.set(key, known);
    return known;
  });
  const chunks = Math.max(1, ...[...read.values()].map(({ chunks }) => chunks));
  const phases = new Map<Cut, PromptPhase>([...read.values()].map((cut) => [cut, cut.finish(chunks)]));
  const later = cuts.flatMap((cut, from) => (from > 0 && cut !== cuts[from - 1] ? [{ from, phase: phases.get(cut)! }] : []));
  const tags = new Map(all.flatMap((tree) => tree.tags).map((tag) => [tag.written, tag]));
  return {
    ...phases.get(cuts[0]!)!,
    ...(later.length > 0 && { later }),
    tags: [...tags.values()],
    chunks,
    notices: [...notices.values()],
  };
}

/** What messages call the texts of both encoders: the same where they are the same. */
interface Named {
  readonly prompts: readonly [string, string];
  readonly negatives: readonly [string, string];
}

const misplaced = (): UserError =>
  new UserError(
    "prompt/second-misplaced",
    "The person stands at another place in the second prompt than in the first, and the identity can be put into one place only.",
    "Begin both prompts with the same words up to the trigger word.",
  );

interface PlainTexts {
  readonly prompts: readonly [string, string];
  readonly negatives: readonly [string, string] | undefined;
  readonly identity: IdentityOptions | undefined;
  readonly names: Named;
  readonly note: (notices: readonly Notice[]) => void;
}

/** Texts as words alone, cut to the window: as the official code and diffusers read them. */
function plainPhase(readers: readonly [Reader, Reader], { prompts, negatives, identity, names, note }: PlainTexts): PromptPhase {
  const both = (texts: readonly [string, string], what: readonly [string, string]): TextIds => {
    const [first, second] = readers.map(({ tokenizer, window }, i) => encodePlain(tokenizer, texts[i]!, window, what[i]!)) as [
      ReturnType<typeof encodePlain>,
      ReturnType<typeof encodePlain>,
    ];
    note([...first.notices, ...second.notices]);
    return { first: first.ids, second: second.ids };
  };
  const negative = negatives && both(negatives, names.negatives);
  if (identity === undefined) return { text: both(prompts, names.prompts), negative };
  const [first, other] = prompts.map((text, i) => {
    const { tokenizer, window } = readers[i]!;
    return expandTrigger(tokenizer, text, { ...identity, window, what: names.prompts[i]! });
  }) as [TriggerPrompt, TriggerPrompt];
  note([...first.notices, ...other.notices]);
  if (first.classPositions[0] !== other.classPositions[0]) throw misplaced();
  return {
    // notices are left out: a cut was reported for the whole prompt
    text: {
      first: encodePlain(readers[0].tokenizer, first.textOnly, readers[0].window, "prompt").ids,
      second: encodePlain(readers[1].tokenizer, other.textOnly, readers[1].window, "prompt").ids,
    },
    identity: { ids: { first: first.ids, second: other.ids }, places: other.classPositions },
    negative,
  };
}

/** Texts cut into chunks, which become ids when it is known how many chunks all have. */
interface Cut {
  readonly chunks: number;
  finish(count: number): PromptPhase;
}

interface PhaseTexts {
  readonly pieces: readonly (readonly PromptPiece[])[];
  readonly not: readonly (readonly PromptPiece[])[] | undefined;
  readonly identity: IdentityOptions | undefined;
  readonly embeddings: ReadonlyMap<string, EmbeddingVectors>;
  readonly names: Named;
  readonly note: (notices: readonly Notice[]) => void;
}

function cutPhase(readers: readonly [Reader, Reader], { pieces, not, identity, embeddings, names, note }: PhaseTexts): Cut {
  const body = ({ window }: Reader): number => window.length - 2;
  const commaOf = ({ tokenizer }: Reader): number | undefined => {
    const ids = tokenizer.words(",").flat();
    return ids.length === 1 ? ids[0] : undefined;
  };
  const plain = (list: readonly PromptPiece[], which: 0 | 1, what: string): WeightedToken[][] => {
    const reader = readers[which];
    const { tokens, notices } = tokensOf(list, { tokenizer: reader.tokenizer, which, embeddings, what });
    note(notices);
    return chunksOf(tokens, { length: body(reader), comma: commaOf(reader) });
  };
  const twice = (lists: readonly (readonly PromptPiece[])[], what: (i: 0 | 1) => string) =>
    [plain(lists[0]!, 0, what(0)), plain(lists[1]!, 1, what(1))] as const;
  const negative = not && twice(not, (i) => names.negatives[i]);

  const people = identity && pieces.map((list, i) => personOf(readers[i]!, list, i as 0 | 1));
  function personOf(reader: Reader, list: readonly PromptPiece[], which: 0 | 1) {
    const what = names.prompts[which];
    const { tokenizer, id } = reader.tokenizer.withToken(identity!.trigger);
    const { tokens, notices } = tokensOf(list, { tokenizer, which, embeddings, what });
    note(notices);
    const length = body(reader);
    const person = personTokens(tokens, list, { ...identity!, triggerId: id, tokenizer: reader.tokenizer, length, what });
    note(person.notices);
    const comma = commaOf(reader);
    const isPlain = person.plain.every((token) => token !== "break" && token.weight === 1 && token.vector === undefined);
    const spoken = isPlain ? respoken(person.plain as readonly WeightedToken[], reader.tokenizer) : person.plain;
    return {
      ...person,
      plain: chunksOf(spoken, { length, comma, firstAtLeast: person.at + 1 }),
      merged: chunksOf(person.merged, { length, comma, firstAtLeast: person.at + person.used }),
    };
  }
  if (people !== undefined && people[0]!.at !== people[1]!.at) throw misplaced();
  const text = people?.map((person) => person.plain) ?? twice(pieces, (i) => names.prompts[i]);
  const merged = people?.map((person) => person.merged);
  const empty = (i: 0 | 1): readonly number[] => windowsOf([], readers[i].tokenizer, readers[i].window, 1).ids;
  const finished = (both: readonly (readonly (readonly WeightedToken[])[])[], count: number): TextIds => {
    const [first, other] = both.map((chunks, i) => windowsOf(chunks, readers[i]!.tokenizer, readers[i]!.window, count)) as [
      EncoderTokens,
      EncoderTokens,
    ];
    return textIds(first, other, count, { first: empty(0), second: empty(1) });
  };
  return {
    chunks: Math.max(...[text, merged, negative].flatMap((both) => both?.map((chunks) => chunks.length) ?? [])),
    finish: (count) => ({
      text: finished(text, count),
      ...(people !== undefined && {
        identity: {
          ids: finished(merged!, count),
          places: Array.from({ length: people[0]!.used }, (_, i) => 1 + people[0]!.at + i),
        },
      }),
      negative: negative && finished(negative, count),
    }),
  };
}

/**
 * Tokens as text and back: what the reference makes of a prompt without its trigger word, which may read a quote and a letter otherwise.
 * @see TencentARC/PhotoMaker 060b4fc photomaker/pipeline.py encode_prompt_with_trigger_word, prompt_text_only
 */
const respoken = (tokens: readonly WeightedToken[], tokenizer: Tokenizer): WeightedToken[] =>
  tokenizer.words(tokenizer.decode(tokens.map(({ id }) => id))).flatMap((ids) => {
    const word = {};
    return ids.map((id) => ({ id, weight: 1, word, scheduled: false }));
  });

function textIds(first: EncoderTokens, second: EncoderTokens, chunks: number, empty: TextIds): TextIds {
  const ones = (count: number): number[] => Array<number>(count).fill(1);
  return {
    first: first.ids,
    second: second.ids,
    ...(chunks > 1 && { chunks }),
    ...((first.weights ?? second.weights) && {
      weights: { first: first.weights ?? ones(first.ids.length), second: second.weights ?? ones(second.ids.length), empty },
    }),
    ...((first.vectors ?? second.vectors) && {
      vectors: { first: first.vectors ?? new Map(), second: second.vectors ?? new Map() },
    }),
  };
}
