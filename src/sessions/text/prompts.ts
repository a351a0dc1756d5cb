import type { GenerateRequest } from "../../contract/request.ts";
import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { expandTrigger, refuseTriggerInNegative } from "../../text/trigger.ts";
import { encodePlain, type Window } from "../../text/window.ts";
import type { TextIds } from "./text-stage.ts";

/** A tokenizer with the window of its encoder. */
export interface Reader {
  readonly tokenizer: Tokenizer;
  readonly window: Window;
}

/** Token ids of all texts of a request, for both encoders. */
export interface PromptIds {
  /** Prompt before the identity is merged in; without an adapter, the prompt of the whole run. */
  readonly text: TextIds;
  /** Prompt with room for the ID tokens, and their positions. */
  readonly identity?: { readonly ids: TextIds; readonly places: readonly number[] };
  /** Undefined for an embedding of zeros, which differs from an empty text. */
  readonly negative: TextIds | undefined;
  readonly notices: readonly Notice[];
}

export interface IdentityOptions {
  readonly trigger: string;
  /** Number of ID tokens. */
  readonly repeats: number;
  /** Whether every ID token must have a position in the window, as V2 needs. */
  readonly everyToken: boolean;
  /** Absent where ID tokens were given instead of photos. */
  readonly tokensPerPhoto?: number | undefined;
}

type Texts = Pick<GenerateRequest, "prompt" | "prompt2" | "negativePrompt" | "negativePrompt2">;

/**
 * @param emptyPromptIsZeros whether no negative prompt means zeros (force_zeros_for_empty_prompt), as in SDXL, or an empty text
 * @throws UserError those of expandTrigger; prompt/second-misplaced
 */
export function readPrompts(
  readers: readonly [Reader, Reader],
  { prompt, prompt2, negativePrompt, negativePrompt2 }: Texts,
  identity: IdentityOptions | undefined,
  emptyPromptIsZeros: boolean,
): PromptIds {
  const notices = new Map<string, Notice>();
  const note = (more: readonly Notice[]): void => {
    for (const n of more) notices.set(n.message, n); // both encoders give the same notice for the same text
  };
  const plain = (reader: Reader, text: string, what: string): readonly number[] => {
    const { ids, notices: more } = encodePlain(reader.tokenizer, text, reader.window, what);
    note(more);
    return ids;
  };
  const both = (first: string, second: string, names: readonly [string, string]): TextIds => ({
    first: plain(readers[0], first, names[0]),
    second: plain(readers[1], second, names[1]),
  });
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
  const negative =
    negativeText === undefined
      ? undefined
      : both(negativeText, negativePrompt2 || negativeText, ["negative prompt", "second negative prompt"]);
  const second = prompt2 || prompt;
  if (identity === undefined)
    return { text: both(prompt, second, ["prompt", "second prompt"]), negative, notices: [...notices.values()] };

  const expanded = [prompt, second].map((text, i) => {
    const { tokenizer, window } = readers[i]!;
    const what = i === 1 && second !== prompt ? "second prompt" : "prompt";
    return expandTrigger(tokenizer, text, { ...identity, window, what });
  });
  const [first, other] = expanded as [(typeof expanded)[0], (typeof expanded)[0]];
  note([...first.notices, ...other.notices]);
  if (first.classPositions[0] !== other.classPositions[0])
    throw new UserError(
      "prompt/second-misplaced",
      "The person stands at different positions in the two prompts, and the identity can be merged in at one position only.",
      "Begin both prompts with the same words up to the trigger word.",
    );
  return {
    // notices are left out: a cut was reported for the whole prompt
    text: {
      first: encodePlain(readers[0].tokenizer, first.textOnly, readers[0].window, "prompt").ids,
      second: encodePlain(readers[1].tokenizer, other.textOnly, readers[1].window, "prompt").ids,
    },
    identity: { ids: { first: first.ids, second: other.ids }, places: other.classPositions },
    negative,
    notices: [...notices.values()],
  };
}
