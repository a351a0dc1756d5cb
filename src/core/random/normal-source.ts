import { UserError } from "../errors.ts";

/** A stream of standard normal numbers; each draw continues where the last one ended. */
export interface NormalSource {
  randn(count: number): Float32Array;
}

/**
 * A seed as 64 bits, negative ones wrapped as PyTorch does; a text is its decimal digits.
 * @throws UserError seed/invalid
 */
export function seedBits(seed: number | bigint | string): bigint {
  const whole = typeof seed === "number" ? Number.isSafeInteger(seed) : typeof seed === "bigint" || /^-?\d+$/.test(seed);
  const value = whole ? BigInt(seed) : undefined;
  if (value === undefined || value < -(2n ** 63n) || value >= 2n ** 64n)
    throw new UserError(
      "seed/invalid",
      `The seed ${seed} is not a whole number between -2^63 and 2^64 - 1.`,
      "Give a whole number, such as 42.",
    );
  return BigInt.asUintN(64, value);
}
