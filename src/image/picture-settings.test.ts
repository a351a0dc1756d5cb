import { readFile } from "node:fs/promises";
import sharp from "sharp";
import { expect, test } from "vitest";
import { foreignSettings } from "../contract/foreign/foreign-settings.ts";
import { goldenPath } from "../testing/golden.ts";
import { encodePicture } from "./encode-picture.ts";
import { exifOf } from "./exif/exif-settings.ts";
import { readTags, TAG } from "./exif/tiff-tags.ts";
import { textOfUserComment } from "./exif/user-comment.ts";
import { readPictureSettings, readPictureTexts } from "./picture-settings.ts";
import { withPngSettings } from "./png-settings.ts";

const fixture = (name: string) => readFile(goldenPath("pictures", name));
const INFOTEXT = `a café in 東京, (neon:1.2)
Negative prompt: ugly, "blurry"
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 9007199254740993, Size: 64x72, Model: other`;

test.each(["a1111.jpg", "a1111.webp", "a1111.avif", "stable-diffusion-cpp.jpg"])("%s tells A1111's text", async (name) => {
  expect(await readPictureSettings(await fixture(name))).toEqual({ parameters: INFOTEXT });
});

test("what other programs wrote into JPEG and WebP is read as from their PNG", async () => {
  const read = async (name: string) => foreignSettings(await readPictureTexts(await fixture(name)));
  expect(await read("a1111.webp")).toMatchObject({ request: { prompt: "a café in 東京, (neon:1.2)", seed: "9007199254740993" } });
  expect(await read("fooocus.jpg")).toMatchObject({
    program: "Fooocus",
    request: { prompt: "a café", numInferenceSteps: 30, seed: "12345", width: 64, height: 72 },
    load: { model: "juggernautXL.safetensors" },
  });
  expect(await read("comfyui.webp")).toMatchObject({
    program: "ComfyUI",
    request: { prompt: "a café", negativePrompt: "ugly", numInferenceSteps: 12, guidanceScale: 5.5, seed: 7 },
    load: { model: "sdxl.safetensors" },
  });
});

test("UserComment is written byte for byte as piexif writes it", async () => {
  const commentOf = (exif: Uint8Array) => readTags(exif).tags.find(({ tag }) => tag === TAG.userComment)?.data;
  const { exif } = await sharp(await fixture("a1111.jpg")).metadata();
  expect([...commentOf(exifOf({ parameters: INFOTEXT }))!]).toEqual([...commentOf(exif!)!]);
});

test.each([
  ["UNICODE, smaller byte first", [...Buffer.from("UNICODE\0"), ...Buffer.from("a man, 男", "utf16le")]],
  ["UNICODE with a mark", [...Buffer.from("UNICODE\0"), 0xff, 0xfe, ...Buffer.from("a man, 男", "utf16le")]],
  ["ASCII that is UTF-8", [...Buffer.from("ASCII\0\0\0a man, 男\0\0")]],
  ["no encoding named", [...Buffer.from("\0\0\0\0\0\0\0\0a man, 男")]],
  ["no room for an encoding", [...Buffer.from("a man, 男\0")]],
])("a UserComment is read: %s", (_, bytes) => {
  for (const littleEndian of [true, false]) expect(textOfUserComment(Uint8Array.from(bytes), littleEndian)).toBe("a man, 男");
});

test("EXIF that is cut off or damaged anywhere is read as far as it goes, and never a fault", async () => {
  const exif = exifOf({ parameters: "a man", settings: { a: 1 } });
  expect(readTags(exif).tags.map(({ tag }) => tag)).toEqual([
    TAG.software,
    TAG.exifFolder,
    TAG.exifVersion,
    TAG.makerNote,
    TAG.userComment,
  ]);
  const whole = readTags(exif).tags;
  for (let length = 0; length < exif.length; length++) {
    const { tags } = readTags(exif.subarray(0, length));
    for (const { tag, data } of tags) expect(data).toEqual(whole.find((each) => each.tag === tag)!.data); // none is half
  }
  for (let i = 0; i < exif.length; i++)
    for (const value of [0, 0x49, 0xff]) expect(() => readTags(exif.with(i, value))).not.toThrow();
});

test("a picture without settings has none, a damaged one is refused, and so is JSON that was changed", async () => {
  expect(await readPictureSettings(await readFile(goldenPath("photos", "person_0_444.jpg")))).toEqual({});
  const png = await sharp({ create: { width: 4, height: 4, channels: 3, background: "red" } })
    .png()
    .toBuffer();
  const webp = await encodePicture(withPngSettings(png, { settings: { a: 1 } }), { format: "webp" });
  await expect(readPictureSettings(webp.subarray(0, 20))).rejects.toMatchObject({ code: "picture/unreadable" });
  const at = Buffer.from(webp).indexOf('{"a"');
  await expect(readPictureSettings(webp.with(at, 0x5b))).rejects.toMatchObject({
    code: "picture/unreadable",
    message: expect.stringContaining("not JSON"),
  });
});
