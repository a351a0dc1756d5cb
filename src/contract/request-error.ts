import type { z } from "zod";
import { UserError } from "../core/errors.ts";
import { nearestName } from "./nearest-name.ts";

/** How the user calls a value: `--steps` on the command line, `numInferenceSteps` in code. */
export type NameOf = (path: readonly PropertyKey[]) => string;

export const plainName: NameOf = (path) => path.map(String).join(".");

/** What stands before the slash of an error's code, where it is not the key itself. */
const SUBJECTS: Readonly<Record<string, string>> = {
  width: "size",
  height: "size",
  numInferenceSteps: "steps",
  numImagesPerPrompt: "num-images",
  inputIdImages: "id-images",
};

const HINTS: Readonly<Record<string, string>> = {
  prompt: 'Say what to draw, as in "a photo of a man img wearing a spacesuit".',
  model: "Name an SDXL model: a diffusers folder, a .safetensors file, or a repository of the Hugging Face hub.",
  numInferenceSteps: "Take 20 to 50; few-step models need 4 to 8.",
  guidanceScale: "Take about 5; 1 turns guidance off.",
  startMergeStep: "Take -1 to have the identity from the first step, or the number of steps to wait.",
  styleStrength: "Take 15 to 50 percent; more follows the text, less the face.",
  scheduler: "Leave it out to take the model's own.",
};

/** The first thing that is wrong with a request, for the user. */
export function requestError(error: z.ZodError, known: readonly string[], nameOf: NameOf): UserError {
  const issue = error.issues[0]!;
  const key = String(issue.path[0] ?? "");
  const name = nameOf(issue.path);
  const hint = HINTS[key] ?? `Correct ${name}, or leave it out.`;
  const fail = (kind: string, problem: string, remedy = hint) =>
    new UserError(`${SUBJECTS[key] ?? kebab(key)}/${kind}`, problem, remedy);
  const given = show(issue.input);
  switch (issue.code) {
    case "unrecognized_keys": {
      const unknown = issue.keys[0]!;
      const nearest = issue.path.length === 0 ? nearestName(unknown, known) : undefined;
      const remedy = nearest ? `Did you mean ${nearest}?` : `Known are: ${known.join(", ")}.`;
      return new UserError("request/unknown-key", `There is no option "${unknown}".`, remedy);
    }
    case "not_multiple_of": {
      const below = Math.floor(Number(issue.input) / issue.divisor) * issue.divisor;
      const near = [below, below + issue.divisor].filter((size) => size >= issue.divisor);
      return fail(
        `not-multiple-of-${issue.divisor}`,
        `${name} is ${given}, which is not a multiple of ${issue.divisor}.`,
        `Take ${near.join(" or ")}.`,
      );
    }
    case "too_small":
      if (issue.origin === "array") return fail("wrong-type", `${name} is ${given}, and must be ${WORDS.tuple}.`);
      if (issue.origin === "string") return fail("empty", `${name} is empty.`);
      return fail("out-of-range", `${name} is ${given}, and must be at least ${issue.minimum}.`);
    case "too_big":
      if (issue.origin === "array") return fail("out-of-range", `${name} has more than ${issue.maximum} entries.`);
      return fail("out-of-range", `${name} is ${given}, and must be at most ${issue.maximum}.`);
    case "invalid_value": {
      const values = issue.values.map(String);
      const nearest = typeof issue.input === "string" ? nearestName(issue.input, values) : undefined;
      return fail(
        "unknown",
        `${name} is ${given}, and must be one of ${values.join(", ")}.`,
        nearest ? `Did you mean ${nearest}?` : hint,
      );
    }
    case "invalid_type":
      if (issue.input === undefined) return fail("missing", `${name} is missing.`);
      return fail("wrong-type", `${name} is ${given}, and must be ${WORDS[issue.expected] ?? issue.expected}.`);
    case "invalid_format":
      if (String(issue.input).trim() === "") return fail("empty", `${name} is empty.`);
      return fail("wrong-form", `${name} is ${given}, and must be one word.`);
    default:
      return fail("wrong-type", `${name} is ${given}: ${issue.message}.`);
  }
}

const WORDS: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  array: "a list",
  tuple: "a list of two whole numbers",
  boolean: "true or false",
  object: "an object",
};

const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`) || "request";

function show(value: unknown): string {
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  const text = typeof value === "function" || value === undefined ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
