import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { goldenPath, hasGolden } from "../testing/golden.ts";
import { goldenJson } from "../testing/tensors.ts";
import { clipCrop, clipPreprocess } from "./clip-preprocess.ts";
import { decodePhoto } from "./decode-photo.ts";

interface Case {
  readonly photo: string;
  readonly crop_u8: string;
  readonly decoded?: string;
  readonly pixel_values: { readonly sha256_f32: string; readonly first16: number[] };
}
const all: Case[] = goldenJson("preprocess", "index.json").cases;
const cases = all.filter(({ photo }) => hasGolden(photo));

test("there are golden cases", () => expect(cases.length).toBeGreaterThanOrEqual(8));

test.each(cases)(
  "clipPreprocess gives CLIPImageProcessor's values: $photo",
  async ({ photo, crop_u8, decoded, pixel_values }) => {
    const source = await decodePhoto(goldenPath(decoded ?? photo));

    expect(clipCrop(source).data).toMatchGolden((await decodePhoto(goldenPath(crop_u8))).data, 0);
    const values = await clipPreprocess(source);
    expect([...values.subarray(0, 16)]).toEqual(pixel_values.first16);
    expect(createHash("sha256").update(values).digest("hex")).toBe(pixel_values.sha256_f32);
  },
);

test("a picture one pixel wide is preprocessed without resizing all of it", () => {
  const thread = { width: 1, height: 10_000_000, data: new Uint8Array(30_000_000).fill(9) }; // resized: 224 x 2,240,000,000
  expect(clipCrop(thread).data.every((value) => value === 9)).toBe(true);
});

test("another size gives a square of that size", async () => {
  const photo = { width: 5, height: 3, data: new Uint8Array(45).fill(255) };
  const values = await clipPreprocess(photo, 8);
  expect(values).toHaveLength(3 * 8 * 8);
  expect(values[0]).toBeCloseTo((1 - 0.48145466) / 0.26862954, 5);
});
