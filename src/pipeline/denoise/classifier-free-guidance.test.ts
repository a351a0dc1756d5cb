import { expect, test } from "vitest";
import { guide, rescale } from "./classifier-free-guidance.ts";

test("guidance of 1 is the prompt, of 0 the negative prompt", () => {
  const [without, withText] = [Float32Array.of(1, 2), Float32Array.of(3, 8)];
  expect([...guide(without, withText, 1)]).toEqual([3, 8]);
  expect([...guide(without, withText, 0)]).toEqual([1, 2]);
  expect([...guide(without, withText, 5)]).toEqual([11, 32]);
});

test("rescaling gives each picture the deviation of its own text branch", () => {
  const guided = Float32Array.of(-4, 4, -9, 9);
  const text = Float32Array.of(-1, 1, -3, 3);
  expect([...rescale(guided, text, 2, 1)]).toEqual([-1, 1, -3, 3]);
  expect([...rescale(guided, text, 2, 0)]).toEqual([...guided]);
  expect([...rescale(guided, text, 2, 0.5)]).toEqual([-2.5, 2.5, -6, 6]);
});
