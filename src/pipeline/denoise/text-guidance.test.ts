import { describe, expect, test } from "vitest";
import { parseGenerateRequest } from "../../contract/request.ts";
import { floats } from "../../core/array.ts";
import type { TextEmbeds } from "../../sessions/text/text-stage.ts";
import { settle } from "../settle.ts";
import { type Evaluation, meanByPicture, sameTold, type Told } from "./guidance.ts";
import type { Prepared } from "./prepared.ts";
import { textGuidance } from "./text-guidance.ts";

/** Texts that are told apart by their first number. */
const text = (n: number): TextEmbeds => ({ context: floats(Float32Array.of(n), 1, 1), pooled: floats(Float32Array.of(-n), 1) });
const [PLAIN, PERSON, NEGATIVE] = [1, 2, 3];

/** A request whose texts are numbered from `tens` on. */
function prepared(tens: number, more: object = {}): Prepared {
  const given = { prompt: "a man img", numInferenceSteps: 10, guidanceScale: 3, startMergeStep: 2, ...more };
  const { request } = settle(parseGenerateRequest(given), undefined);
  const [plain, identity, negative] = [PLAIN, PERSON, NEGATIVE].map((n) => text(tens + n)) as [
    TextEmbeds,
    TextEmbeds,
    TextEmbeds,
  ];
  return { request, texts: { text: plain, identity, negative }, seed: 1 };
}
const at = (index: number): Evaluation => ({ index, timestep: 1000 - index });
const said = (rows: readonly Told[]) => rows.map(({ picture, context }) => [picture, context.data[0]]);
const guidanceOf = (requests: readonly Prepared[]) => textGuidance(requests, [64, 48], 10);

describe("rows", () => {
  const two = [prepared(10, { guidanceEnd: 0.5 }), prepared(20, { startMergeStep: 3, numImagesPerPrompt: 2 })];

  test("negative texts of all pictures, then their prompts, each with the person after its own merge step", () => {
    const { rows } = guidanceOf(two);
    const negatives = [
      [0, 13],
      [1, 23],
      [2, 23],
    ];
    expect(said(rows(at(2)))).toEqual([...negatives, [0, 11], [1, 21], [2, 21]]);
    expect(said(rows(at(3)))).toEqual([...negatives, [0, 12], [1, 21], [2, 21]]);
    expect(said(rows(at(4)))).toEqual([...negatives, [0, 12], [1, 22], [2, 22]]);
  });

  test("a run that begins in the middle has what is told there: the person behind the merge step, no guidance behind its end", () => {
    const one = () => guidanceOf([prepared(10, { guidanceEnd: 0.5, startMergeStep: 3 })]);
    expect(said(one().rows(at(2)))).toEqual([
      [0, 13],
      [0, 11],
    ]);
    expect(said(one().rows(at(4)))).toEqual([
      [0, 13],
      [0, 12],
    ]);
    expect(said(one().rows(at(7)))).toEqual([[0, 12]]);
  });

  test("prompts alone when guidance has ended, and when nothing is to be guided", () => {
    const { rows, unguided } = guidanceOf(two);
    expect(said(rows(at(5)))).toEqual([
      [0, 12],
      [1, 22],
      [2, 22],
    ]);
    expect(said(unguided.rows(at(1)))).toEqual([
      [0, 11],
      [1, 21],
      [2, 21],
    ]);
    expect(unguided.unguided).toBe(unguided);
    expect(said(guidanceOf([prepared(10, { guidanceScale: 1 })]).rows(at(0)))).toEqual([[0, 11]]);
  });

  test("a row stays the same as long as it is told the same", () => {
    const { rows } = guidanceOf(two);
    const same = (one: number, other: number) => rows(at(one)).map((row, i) => sameTold(row, rows(at(other))[i]!));
    expect(same(0, 2)).toEqual(Array(6).fill(true));
    expect(same(2, 3)).toEqual([true, true, true, false, true, true]);
  });

  test("sizes go to the rows as diffusers tiles them, and unguided rows keep those of their prompts' rows", () => {
    const sizes = { originalSize: [1, 2], negativeOriginalSize: [3, 4], negativeTargetSize: [5, 6], numImagesPerPrompt: 3 };
    const { rows, unguided } = guidanceOf([prepared(0, { ...sizes, guidanceEnd: 0.5 })]);
    const heights = (told: readonly Told[]) => told.map(({ timeIds }) => timeIds[0]);
    expect(heights(rows(at(0)))).toEqual([3, 1, 3, 1, 3, 1]);
    expect(heights(unguided.rows(at(0)))).toEqual([1, 3, 1]);
    expect(heights(rows(at(5)))).toEqual([1, 1, 1]);
    expect(rows(at(5))[0]!.timeIds).toEqual([1, 2, 0, 0, 64, 48]);
  });
});

test("answers are put together by scale and rescaling while there is guidance, and are left alone afterwards", () => {
  const answers = Float32Array.of(1, 3, 2, 6, 2, 6, 3, 9);
  const plain = guidanceOf([prepared(0, { guidanceEnd: 0.5, numImagesPerPrompt: 2 })]);
  expect([...plain.combine(answers, at(0))]).toEqual([4, 12, 5, 15]); // negative + 3 (prompt − negative)
  expect(plain.combine(answers, at(5))).toBe(answers);
  expect(plain.unguided.combine(answers, at(0))).toBe(answers);
  const rescaled = guidanceOf([prepared(0, { guidanceRescale: 1, numImagesPerPrompt: 2 })]);
  const [a, b, c, d] = rescaled.combine(answers, at(0)); // each picture with the deviation of its own prompt's answer
  for (const [got, expected] of [
    [a, 2],
    [b, 6],
    [c, 3],
    [d, 9],
  ])
    expect(got).toBeCloseTo(expected!, 6);
});

test("what rows have in common is their mean, picture by picture", () => {
  const values = [1, 10, 5, 30].map((v) => Float32Array.of(v, -v));
  const { mean } = guidanceOf([prepared(0, { guidanceEnd: 0.5, numImagesPerPrompt: 2 })]);
  expect(mean(values, at(0)).map((v) => [...v])).toEqual([
    [3, -3],
    [20, -20],
  ]);
  expect(mean(values.slice(2), at(5)).map((v) => [...v])).toEqual([
    [5, -5],
    [30, -30],
  ]);
  const three = [0, 1, 0, 0].map((picture) => ({ picture }));
  expect(meanByPicture(values, three).map((v) => [...v])).toEqual([
    [12, -12],
    [10, -10],
  ]);
});
