import { z } from "zod";
import { withJsonForm } from "./option.ts";

/** The start of a stream of random numbers, 0 to 2^64 - 1: a number as far as it is exact, 2^53 - 1, else its decimal digits. */
export type Seed = number | string;

const LARGEST = 2n ** 64n - 1n;

/** A seed as it is given: a whole number, its decimal digits, or a bigint. */
export const seed = withJsonForm(
  z
    .custom<number | string | bigint>((value) => value !== undefined)
    .transform((value, context): Seed => {
      const read = wholeNumber(value);
      if (typeof read === "object") {
        context.addIssue({ code: "invalid_type", expected: read.expected, input: value });
        return z.NEVER;
      }
      if (read < 0n) context.addIssue({ code: "too_small", origin: "bigint", minimum: 0n, input: value });
      const largest = typeof value === "number" ? Number.MAX_SAFE_INTEGER : LARGEST;
      if (read > largest) context.addIssue({ code: "too_big", origin: "bigint", maximum: largest, input: value });
      return read <= Number.MAX_SAFE_INTEGER ? Number(read) : String(read);
    }),
  {
    anyOf: [
      { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      { type: "string", pattern: "^\\s*[0-9]{1,20}\\s*$" },
    ],
  },
);

/** A seed in JSON that was written here. */
export const writtenSeed = z.union([z.int().min(0), z.string().regex(/^[0-9]{16,20}$/)]);

/** What is given as a whole number, or what it should have been. */
function wholeNumber(value: unknown): bigint | { readonly expected: "number" | "int" } {
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  if (typeof value === "string" && /^\s*-?\d{1,40}\s*$/.test(value)) return BigInt(value.trim());
  return { expected: typeof value === "number" && !Number.isNaN(value) ? "int" : "number" };
}
