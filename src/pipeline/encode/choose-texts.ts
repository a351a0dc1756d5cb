import type { GenerateRequest } from "../../contract/request.ts";
import { type Random, seededRandom } from "../../core/random/seeded-random.ts";
import { wildcardsIn } from "../../text/wildcards.node.ts";
import { expandChoices, hasChoices } from "../../text/wildcards.ts";

const TEXTS = ["prompt", "prompt2", "negativePrompt", "negativePrompt2"] as const;

/** Texts of a request whose choices have been made: those that have any. */
export type ChosenTexts = Partial<Record<(typeof TEXTS)[number], string>>;

/**
 * Makes the choices of wildcards and `{this|that}` in a request's texts, by its seed; each text has a stream of its own.
 * @returns undefined if there are none
 * @throws UserError those of expandChoices and wildcardsIn
 */
export async function chooseTexts(
  request: Pick<GenerateRequest, (typeof TEXTS)[number] | "wildcards" | "promptSyntax">,
  seed: number | bigint,
): Promise<ChosenTexts | undefined> {
  if (request.promptSyntax === "none") return undefined;
  const wildcards = request.wildcards === undefined ? undefined : wildcardsIn(request.wildcards);
  const chosen: ChosenTexts = {};
  for (const [i, key] of TEXTS.entries()) {
    const text = request[key];
    if (text !== undefined && hasChoices(text)) chosen[key] = await expandChoices(text, wildcards, streamOf(seed, i));
  }
  return Object.keys(chosen).length === 0 ? undefined : chosen;
}

/** The first and the second prompt choose alike where they are alike. */
function streamOf(seed: number | bigint, text: number): Random {
  const whole = BigInt.asUintN(64, BigInt(seed));
  return seededRandom(Number(whole & 0xffffffffn), Number(whole >> 32n), text < 2 ? 0 : 1);
}
