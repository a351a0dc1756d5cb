import { expect, test } from "vitest";
import { infotext } from "./infotext.ts";

const settings = [
  ["Steps", 50],
  ["Sampler", "Euler"],
  ["CFG scale", 5],
  ["Seed", 42],
  ["Size", "1024x1024"],
] as const;

test("infotext is laid out as other tools read it", () => {
  expect(infotext({ prompt: "a man img,\nsmiling", negativePrompt: "blurry", settings })).toBe(
    "a man img,\nsmiling\nNegative prompt: blurry\nSteps: 50, Sampler: Euler, CFG scale: 5, Seed: 42, Size: 1024x1024",
  );
});

test.each([undefined, ""])("without a negative prompt (%j) there is no line for it", (negativePrompt) => {
  expect(infotext({ prompt: "a", negativePrompt, settings: [["Steps", 1]] })).toBe("a\nSteps: 1");
});

test.each([
  ["a, b", '"a, b"'],
  ["a: b", '"a: b"'],
  ["a\nb", String.raw`"a\nb"`],
  ["人, b", '"人, b"'],
  ["a b", "a b"],
])("the value %j is written %s", (value, written) => {
  expect(infotext({ prompt: "a", settings: [["Lora", value]] })).toBe(`a\nLora: ${written}`);
});

// The pattern that AUTOMATIC1111/stable-diffusion-webui 0365002 modules/infotext_utils.py finds settings with.
const setting = /\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/g;

test.each(["style.safetensors:0.8, b", "two\nlines", 'say "hi"', '"quoted"', "C:\\models\\x", "男, 人", "plain"])(
  "a value is read back unchanged: %j",
  (value) => {
    const line = infotext({ prompt: "a", settings: [["Lora", value], ...settings] })
      .split("\n")
      .at(-1)!;
    const [[, name, found], ...rest] = [...line.matchAll(setting)] as [RegExpMatchArray, ...RegExpMatchArray[]];
    expect(name).toBe("Lora");
    expect(found!.startsWith('"') ? JSON.parse(found!) : found).toBe(value);
    expect(rest).toHaveLength(settings.length);
  },
);
