import fc from "fast-check";
import sharp from "sharp";
import { expect, test } from "vitest";
import { decodePhoto } from "./decode-photo.ts";
import { encodePicture } from "./encode-picture.ts";
import { encodePng } from "./encode-png.ts";
import { readPictureSettings } from "./picture-settings.ts";
import { withPngSettings } from "./png-settings.ts";
import { rgb8 } from "./rgb8.ts";

/** A gradient with a coloured edge, whose sides are odd. */
const [width, height] = [37, 21];
const picture = rgb8(
  width,
  height,
  Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y, c] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3];
    return x > 20 ? [220, 40, 60][c]! : (x * 5 + y * 3 + c * 20) % 256;
  }),
);
const plain = await encodePng(picture);

const worst = (a: Uint8Array, b: Uint8Array): number => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

test("settings survive in JPEG and WebP, in any language", async () => {
  const text = fc.string({ unit: "binary", maxLength: 40 }).map((s) => `x${s.replaceAll("\0", "")}x`);
  await fc.assert(
    fc.asyncProperty(text, fc.jsonValue(), fc.constantFrom("jpeg", "webp"), async (parameters, settings, format) => {
      const made = await encodePicture(withPngSettings(plain, { parameters, settings }), { format });
      expect(await readPictureSettings(made)).toEqual({ parameters, settings: JSON.parse(JSON.stringify(settings)) });
    }),
    { numRuns: 40 },
  );
});

test("pixels of a PNG and of a WebP without loss are the same, those of the others close, by their quality", async () => {
  expect(await encodePicture(plain, { format: "png" })).toBe(plain);
  const exact = await encodePicture(plain, { format: "webp", lossless: true });
  expect(await decodePhoto(exact)).toEqual(picture);
  for (const format of ["jpeg", "webp"] as const) {
    const [fine, coarse] = [
      await encodePicture(plain, { format, quality: 98 }),
      await encodePicture(plain, { format, quality: 5 }),
    ];
    expect(await sharp(fine).metadata()).toMatchObject({ format, width, height, channels: 3 });
    const [near, far] = [await decodePhoto(fine), await decodePhoto(coarse)];
    expect([near.width, near.height]).toEqual([width, height]);
    expect(coarse.length).toBeLessThan(fine.length);
    expect(worst(near.data, picture.data)).toBeLessThan(worst(far.data, picture.data));
    expect(await encodePicture(plain, { format })).toEqual(await encodePicture(plain, { format, quality: 90 }));
  }
  const jpeg = await decodePhoto(await encodePicture(plain, { format: "jpeg", quality: 98 }));
  expect(worst(jpeg.data, picture.data)).toBeLessThan(12); // colours are kept at each pixel
});

test("texts of any length have room in a WebP, and a JPEG says where it ends", async () => {
  const long = withPngSettings(plain, { parameters: "é".repeat(40_000), settings: { prompt: "é" } });
  expect(await readPictureSettings(await encodePicture(long, { format: "webp" }))).toMatchObject({ settings: { prompt: "é" } });
  await expect(encodePicture(long, { format: "jpeg" })).rejects.toMatchObject({ code: "picture/long-settings" });
  const most = withPngSettings(plain, { parameters: "é".repeat(32_000) });
  expect((await readPictureSettings(await encodePicture(most, { format: "jpeg" }))).parameters).toHaveLength(32_000);
});
