import { expect } from "vitest";
import { compare } from "./golden.ts";

interface GoldenMatchers<R = unknown> {
  /** Largest |difference| at most `tolerance`, over the largest |expected| with `relative`. NaN and another length fail. */
  toMatchGolden(expected: ArrayLike<number>, tolerance: number, options?: { relative?: boolean }): R;
}

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: the signature that vitest asks to be merged
  interface Matchers<T = any> extends GoldenMatchers<T> {}
}

expect.extend({
  toMatchGolden(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, options: { relative?: boolean } = {}) {
    const { pass, message } = compare(actual, expected, tolerance, options.relative ?? false);
    return { pass, message: () => message };
  },
});
