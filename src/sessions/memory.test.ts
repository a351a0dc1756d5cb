import { expect, test } from "vitest";
import { drawingOf } from "../pipeline/load/check-room.ts";
import { checkMemory, type Drawing, type ModelSizes, memoryNeed } from "./memory.ts";

/** SDXL, and an ID encoder of about a CLIP ViT-L/14. */
const SDXL: ModelSizes = { encoders: [123_060_480, 694_659_840, 304e6], unet: 2_567_463_684, unetChannels: 320 };
const VAE = { parameters: 49_490_199, channels: 128 };

const sdxl = (precision: Drawing["precision"], side: number, rows = 1, unloadAfterUse = true): Drawing =>
  drawingOf({ width: side, height: side, rows }, 8, { precision, decoder: VAE, tiny: false, unloadAfterUse });

// Peak memory with models loaded one after the other; for two rows of 1024x1024 the process of the models alone
test.each([
  ["f32", 512, 1, 12.3],
  ["f32", 1024, 2, 13.8],
  ["int8", 1024, 1, 6.7],
  ["int8", 512, 1, 4.1], // while it is prepared
] as const)(
  "%s at %d, %d at once: the estimate is near the measured %d GB, which is never refused",
  (precision, side, rows, measured) => {
    const { least, about } = memoryNeed(SDXL, { ...sdxl(precision, side), latents: rows * (side / 8) ** 2 });
    expect(about / 1e9).toBeGreaterThan(measured * 0.95);
    expect(about / 1e9).toBeLessThan(measured * 1.05);
    expect(least / 1e9).toBeLessThan(measured * 0.95);
  },
);

test("prepared models fit into 3.4 GB at 512x512", () => {
  expect(memoryNeed(SDXL, sdxl("int8", 512)).least).toBeLessThan(3.4e9 - 0.3e9);
});

test("models that stay loaded need more than one at a time, and memory grows with the picture until rows and tiles are split", () => {
  const about = (...how: Parameters<typeof sdxl>): number => memoryNeed(SDXL, sdxl(...how)).about;
  expect(about("int8", 1024, 1, false)).toBeGreaterThan(about("int8", 1024) + 1e9);
  expect(memoryNeed(SDXL, sdxl("int8", 256, 2)).least).toBeGreaterThan(memoryNeed(SDXL, sdxl("int8", 256, 1)).least);
  expect(sdxl("int8", 256, 8).latents).toBe(sdxl("int8", 256, 4).latents);
  expect(sdxl("int8", 1024, 8).latents).toBe(sdxl("int8", 1024, 1).latents);
  expect(about("int8", 1024)).toBeGreaterThan(about("int8", 768));
});

test("a drawing that cannot fit is refused with alternatives, a tight one gets a notice, one that fits none", () => {
  const wanted = sdxl("f32", 1024);
  const others = [
    { what: "smaller", drawing: sdxl("f32", 512) },
    { what: "--precision int8", drawing: sdxl("int8", 1024) },
  ];
  const check = (available: number) => checkMemory(SDXL, wanted, others, available);
  expect(check(16e9)).toEqual([]);
  expect(check(11.5e9)).toMatchObject([
    { code: "memory/tight", message: expect.stringContaining("--precision int8 (about 6.7 GB)") },
  ]);
  const thrown = (available: number): unknown => {
    try {
      return check(available);
    } catch (error) {
      return error;
    }
  };
  expect(thrown(8e9)).toMatchObject({
    code: "memory/too-little",
    message: expect.stringMatching(/about 12\.\d GB of memory in f32, and 8\.0 GB are available/),
    remedy: "This would fit: --precision int8 (about 6.7 GB).",
  });
  expect(thrown(2e9)).toMatchObject({ code: "memory/too-little", remedy: expect.stringContaining("more memory") });
});
