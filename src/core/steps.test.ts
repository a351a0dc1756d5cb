import { expect, test } from "vitest";
import { atOnce, inTurns, type Steps } from "./steps.ts";

function* counted(count: number, pauseMs: number): Steps<number> {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const end = performance.now() + pauseMs;
    while (performance.now() < end) sum += 0;
    sum += i;
    yield;
  }
  return sum;
}

test("the result is the same at once and in turns", async () => {
  expect(atOnce(counted(5, 0))).toBe(10);
  expect(await inTurns(counted(5, 0))).toBe(10);
});

test("others come in between long steps", async () => {
  let others = 0;
  const timer = setInterval(() => others++, 1);
  await inTurns(counted(4, 12));
  clearInterval(timer);
  expect(others).toBeGreaterThanOrEqual(3);
});

test("an error in a step reaches the caller", async () => {
  function* broken(): Steps<number> {
    yield;
    throw new Error("broken");
  }
  await expect(inTurns(broken())).rejects.toThrow("broken");
});
