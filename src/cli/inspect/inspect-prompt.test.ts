import { expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { cli } from "../../testing/run-cli.ts";
import type { InspectedPrompt } from "./inspect-prompt.ts";

const run = (...args: string[]) => cli(["inspect-prompt", ...args]);
const read = async (...args: string[]): Promise<InspectedPrompt> => JSON.parse((await run(...args, "--json")).out);

test("tokens, weights, chunks and the person's place, for people", async () => {
  const { code, out } = await run("a photo of a (woman img:1.2), [smile] BREAK (sea) <lora:x:1>", "-i", "3", "-n", "(ugly:1.3)");
  expect(code).toBe(0);
  expect(out).toBe(
    [
      "prompt",
      "  chunk 1: 9 tokens",
      "    1.00  a photo of a",
      "    1.20  woman woman woman  <- the person, 3 tokens",
      "    1.00  ,",
      "    0.91  smile",
      "  chunk 2: 1 tokens",
      "    1.10  sea",
      "negative prompt",
      "  chunk 1: 1 tokens",
      "    1.30  ugly",
      "  chunk 2: 0 tokens",
      "tags: <lora:x:1>",
      "",
    ].join("\n"),
  );
});

test("as JSON, with the model's tokenizers, photos by their files, and V2's tokens", async () => {
  const model = goldenPath("tiny-sdxl");
  const { texts } = await read("woman, img", "-m", model, "-i", "a.jpg", "b.jpg", "--tokens-per-photo", "2");
  expect(texts[0]!.chunks[0]!.map(({ position, text, person }) => [position, text, person ?? false])).toEqual([
    ...[1, 2, 3, 4].map((position) => [position, "woman", true]),
    [5, ",", false],
  ]);
});

test("schedules by the steps at which they change; no person without a trigger word", async () => {
  const { texts } = await read("a [cat:dog:0.4]", "--steps", "10");
  expect(texts.map(({ fromStep, chunks }) => [fromStep, chunks[0]!.map(({ text }) => text).join(" ")])).toEqual([
    [0, "a cat"],
    [4, "a dog"],
  ]);
  expect(texts[0]!.chunks[0]!.some(({ person }) => person)).toBe(false);
});

test("choices are made by the seed, and notices told", async () => {
  const { became, notices } = await read("a {cat|dog}, embedding:x", "--seed", "5");
  expect(became).toMatch(/^a (cat|dog), embedding:x$/);
  expect((await read("a {cat|dog}, embedding:x", "--seed", "5")).became).toBe(became);
  expect(notices.map(({ code }) => code)).toEqual(["prompt/embedding-unknown"]);
});

test("what generate refuses is refused", async () => {
  const codeOf = async (...args: string[]) => JSON.parse((await run(...args, "--json")).out).error?.code;
  expect(await codeOf("a woman img", "--steps", "many")).toBe("steps/not-whole");
  expect(await codeOf("(word:1,2)")).toBe("prompt/weight");
  expect(await codeOf("a woman", "-i", "2")).toBe("prompt/trigger-missing");
});
