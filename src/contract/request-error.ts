import { z } from "zod";
import type { OptionFault } from "../core/error-codes.ts";
import { UserError } from "../core/errors.ts";
import { nearestName } from "./nearest-name.ts";
import { metaOf, valueSchema } from "./option.ts";

/** Gives the user's name of a value: `--steps` on the command line, `numInferenceSteps` in code. */
export type NameOf = (path: readonly PropertyKey[]) => string;

export const plainName: NameOf = (path) => path.map(String).join(".");

/**
 * Turns the first fault of a request into an error for the user.
 * @param schema schema of the request, whose metadata gives subjects and hints
 */
export function requestError(error: z.ZodError, schema: z.ZodObject, nameOf: NameOf): UserError {
  const issue = error.issues[0]!;
  const key = String(issue.path[0] ?? "");
  const name = nameOf(issue.path);
  const { subject = kebab(key), hint = `Correct ${name}, or leave it out.` } = metaOf(schema.shape[key] as z.ZodType) ?? {};
  const fail = (kind: OptionFault | `not-multiple-of-${number}`, problem: string, remedy = hint) =>
    new UserError(`${subject}/${kind}`, problem, remedy);
  const given = show(issue.input);
  switch (issue.code) {
    case "unrecognized_keys": {
      const unknown = issue.keys[0]!;
      const known = keysAt(schema, issue.path);
      const nearest = nearestName(unknown, known);
      const remedy = nearest ? `Did you mean ${nearest}?` : known.length > 0 ? `Known options: ${known.join(", ")}.` : hint;
      const place = issue.path.length === 0 ? "" : ` in ${name}`;
      return new UserError("request/unknown-key", `There is no option "${unknown}"${place}.`, remedy);
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
      if (issue.origin === "array" && schemaAt(schema, issue.path) instanceof z.ZodArray)
        return fail("empty", `${name} is ${given}, and must have ${issue.minimum} or more entries.`);
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

/** The schema at a path of the request, or undefined where there may be several. */
function schemaAt(schema: z.core.$ZodType | undefined, [first, ...rest]: readonly PropertyKey[]): z.core.$ZodType | undefined {
  const here = schema && valueSchema(schema);
  if (first === undefined) return here;
  if (here instanceof z.ZodArray) return schemaAt(here.element, rest);
  return here instanceof z.ZodObject ? schemaAt(here.shape[String(first)], rest) : undefined;
}

/** Keys that an object of the request may have. */
function keysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const here = schemaAt(schema, path);
  return here instanceof z.ZodObject ? Object.keys(here.shape) : [];
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

/** Shortens bytes and numbers to their count. */
const short = (_key: string, value: unknown): unknown =>
  ArrayBuffer.isView(value) && "length" in value ? `<${value.length}>` : value;

function show(value: unknown): string {
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  const text = typeof value === "function" || value === undefined ? String(value) : JSON.stringify(value, short);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
