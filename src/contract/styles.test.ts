import { expect, test } from "vitest";
import { parseGenerateRequest } from "./request.ts";
import { STYLE_PRESETS, stylesWith } from "./styles.ts";

test("the official demo has eleven styles, ours have other names, and each has one place for the prompt", () => {
  expect(STYLE_PRESETS.slice(0, 11).map(({ name }) => name)).toEqual([
    ...["(No style)", "Cinematic", "Disney Charactor", "Digital Art", "Photographic (Default)", "Fantasy art"],
    ...["Neonpunk", "Enhance", "Comic book", "Lowpoly", "Line art"],
  ]);
  expect(new Set(STYLE_PRESETS.map(({ name }) => name.toLowerCase())).size).toBe(STYLE_PRESETS.length);
  for (const { prompt } of STYLE_PRESETS) expect(prompt.split("{prompt}")).toHaveLength(2);
});

test("a style is put around the prompt and before the negative prompt", () => {
  const request = parseGenerateRequest({ prompt: "a $& man img", negativePrompt: "hat", style: "lowpoly" });
  expect(request.prompt).toMatch(/^low-poly style a \$& man img \. low-poly game art/);
  expect(request.negativePrompt).toBe("noisy, sloppy, messy, grainy, highly detailed, ultra textured, photo, hat");
  expect(request).not.toHaveProperty("style");
  expect(parseGenerateRequest(request)).toEqual(request);
  for (const style of ["Photographic (Default)", "photographic", "Comic book", "comic-book"])
    expect(parseGenerateRequest({ prompt: "a", style }).prompt).not.toBe("a");
  expect(parseGenerateRequest({ prompt: "a", style: "(No style)" })).toEqual(parseGenerateRequest({ prompt: "a" }));
});

test("styles are found by a word of theirs", () => {
  expect(stylesWith("Brush").map(({ name }) => name)).toEqual(["Oil painting"]);
  expect(stylesWith()).toHaveLength(STYLE_PRESETS.length);
});

test("an unknown style is refused, and the nearest named", () => {
  expect(() => parseGenerateRequest({ prompt: "a", style: "Cinematik" })).toThrow(
    expect.objectContaining({ code: "style/unknown", remedy: expect.stringContaining("Did you mean Cinematic?") }),
  );
});
