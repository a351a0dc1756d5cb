import { expect, test } from "vitest";
import { byteSpeed } from "./byte-speed.ts";

test("the quickest run counts, and a signal ends the measurement", async () => {
  let time = 0;
  const took = [9, 7, 5, 8, 9, 9, 9, 9].flatMap((ms) => [0, ms]); // milliseconds between the two looks at the clock of each run
  const now = () => (time += took.shift()!);
  const products = 2 * 1024 * 1280 * (1280 * 10 + 8);
  expect(await byteSpeed(now)).toBe(products / 0.005);
  await expect(byteSpeed(() => 0, AbortSignal.abort())).rejects.toMatchObject({ name: "AbortError" });
});
