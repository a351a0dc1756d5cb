import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { goldenPath, hasGolden } from "../testing/golden.ts";
import { type TiffField, tiff } from "../testing/tiff.ts";
import { clipCrop } from "./clip-preprocess.ts";
import { type DecodeOptions, decodePhoto } from "./decode-photo.ts";
import { readPngChunks, writePngChunks } from "./png-chunks.ts";
import type { Rgb8 } from "./rgb8.ts";

const photo = (name: string): string => goldenPath("photos", name);
const onePixel = (input: Uint8Array): Promise<number[]> => decodePhoto(input).then(({ data }) => [...data.subarray(0, 3)]);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "photo-"));
});
afterAll(() => rm(folder, { recursive: true }));

const jpegs = ["person_0_444", "person_2_420", "person_3_exif6", "cmyk"].filter((name) => hasGolden("photos", `${name}.jpg`));

test.each(jpegs)("a JPEG is decoded as Pillow decodes it: %s", async (name) => {
  const actual = await decodePhoto(photo(`${name}.jpg`), { orient: false });
  const expected = await decodePhoto(photo(`decoded/${name}.png`));
  expect([actual.width, actual.height]).toEqual([expected.width, expected.height]);
  expect(actual.data).toMatchGolden(expected.data, 1);
});

test("a path, bytes and a Blob give the same picture", async () => {
  const bytes = await readFile(photo("rgba.png"));
  const expected = await decodePhoto(photo("rgba.png"));
  expect(Buffer.compare((await decodePhoto(bytes)).data, expected.data)).toBe(0);
  expect(Buffer.compare((await decodePhoto(new Blob([bytes]))).data, expected.data)).toBe(0);
});

const size = ({ width, height }: Rgb8): number[] => [width, height];

// a b      where EXIF orientations 1 to 8 put the pixels of this picture
// c d
test.each([
  [1, "abcd"],
  [2, "badc"],
  [3, "dcba"],
  [4, "cdab"],
  [5, "acbd"],
  [6, "cadb"],
  [7, "dbca"],
  [8, "bdac"],
])("EXIF orientation %i is applied, or not if asked", async (orientation, order) => {
  const letters = (picture: Rgb8) => [0, 3, 6, 9].map((i) => "abcd"[picture.data[i]! / 10]).join("");
  const data = Uint8Array.from([0, 10, 20, 30].flatMap((value) => [value, value, 50]));
  const png = await sharp(data, { raw: { width: 2, height: 2, channels: 3 } })
    .withMetadata({ orientation })
    .png()
    .toBuffer();
  expect(letters(await decodePhoto(png))).toBe(order);
  expect(letters(await decodePhoto(png, { orient: false }))).toBe("abcd");
});

test("a photo taken upright comes out upright", async () => {
  expect(size(await decodePhoto(photo("person_3_exif6.jpg"), { orient: false }))).toEqual([150, 201]);
  expect(size(await decodePhoto(photo("person_3_exif6.jpg")))).toEqual([201, 150]);
});

// 2x2 pixels, as Pillow 13 writes its modes F and I
test.each([
  [
    "float",
    "SUkqAAgAAAAKAAABBAABAAAAAgAAAAEBBAABAAAAAgAAAAIBAwABAAAAIAAAAAMBAwABAAAAAQAAAAYBAwABAAAAAQAAABEBBAABAAAAhgAAABYBBAABAAAAAgAAABcBBAABAAAAEAAAABwBAwABAAAAAQAAAFMBAwABAAAAAwAAAAAAAAAAAAA/AAAAPwAAAD8AAAA/",
  ],
  [
    "int",
    "SUkqAAgAAAAKAAABBAABAAAAAgAAAAEBBAABAAAAAgAAAAIBAwABAAAAIAAAAAMBAwABAAAAAQAAAAYBAwABAAAAAQAAABEBBAABAAAAhgAAABYBBAABAAAAAgAAABcBBAABAAAAEAAAABwBAwABAAAAAQAAAFMBAwABAAAAAgAAAAAAAABwEQEAcBEBAHARAQBwEQEA",
  ],
])("a TIFF of type %s, whose brightness is not said, is refused", async (depth, file) => {
  const decoded = decodePhoto(Buffer.from(file, "base64"));
  await expect(decoded).rejects.toMatchObject({ code: "photo/unreadable", message: expect.stringContaining(`type ${depth},`) });
});

/** A PNG of one pixel. */
function pixelPng(depth: number, colourType: number, sample: number[]): Uint8Array {
  const header = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, depth, colourType, 0, 0, 0]);
  return writePngChunks([
    { type: "IHDR", data: header },
    { type: "IDAT", data: deflateSync(Buffer.from([0, ...sample])) },
    { type: "IEND", data: new Uint8Array() },
  ]);
}

test.each([
  ["grey", 8, 0, [7], [7, 7, 7]],
  ["grey of 1 bit", 1, 0, [128], [255, 255, 255]],
  ["grey of 16 bits", 16, 0, [200, 255], [200, 200, 200]],
  ["colour of 16 bits", 16, 2, [1, 255, 2, 0, 3, 128], [1, 2, 3]],
  ["grey, wholly transparent", 8, 4, [7, 0], [7, 7, 7]],
  ["colour, wholly transparent", 8, 6, [1, 2, 3, 0], [1, 2, 3]],
  ["colour of 16 bits, half transparent", 16, 6, [1, 255, 2, 0, 3, 128, 128, 0], [1, 2, 3]],
])("%s becomes RGB", async (_, depth, colourType, sample, expected) => {
  expect(await onePixel(pixelPng(depth, colourType, sample))).toEqual(expected);
});

test("a transparent colour of a palette keeps its colour", async () => {
  const [header, ...pixels] = readPngChunks(pixelPng(8, 3, [1]));
  const palette = { type: "PLTE", data: Uint8Array.of(9, 9, 9, 10, 20, 30) };
  const alpha = { type: "tRNS", data: Uint8Array.of(255, 0) };
  expect(await onePixel(writePngChunks([header!, palette, alpha, ...pixels]))).toEqual([10, 20, 30]);
});

test("an ICC profile changes nothing", async () => {
  const data = Uint8Array.of(200, 30, 40);
  const tagged = await sharp(data, { raw: { width: 1, height: 1, channels: 3 } })
    .withIccProfile("p3")
    .png()
    .toBuffer();
  const untagged = writePngChunks(readPngChunks(tagged).filter(({ type }) => type !== "iCCP"));
  expect(untagged.length).toBeLessThan(tagged.length);
  expect(await onePixel(tagged)).toEqual(await onePixel(untagged));
  expect(await onePixel(tagged)).not.toEqual([...data]); // stored in the colours of P3
});

const red = { create: { width: 4, height: 3, channels: 3, background: "#c02010" } } as const;

test.each(["webp", "gif", "avif", "tiff"] as const)("%s is read", async (format) => {
  const picture = await decodePhoto(await sharp(red).toFormat(format, { quality: 100 }).toBuffer());
  expect(size(picture)).toEqual([4, 3]);
  expect([...picture.data.subarray(0, 3)]).toMatchGolden([0xc0, 0x20, 0x10], 6);
});

test.each(["gif", "webp"] as const)("of an animated %s the first picture is taken", async (format) => {
  const frames = await Promise.all(
    ["#ff0000", "#0000ff"].map((background) =>
      sharp({ create: { ...red.create, background } })
        .png()
        .toBuffer(),
    ),
  );
  const moving = await sharp(frames, { join: { animated: true } })
    .toFormat(format, { lossless: true })
    .toBuffer();
  expect((await sharp(moving).metadata()).pages).toBe(2);
  const picture = await decodePhoto(moving);
  expect(size(picture)).toEqual([4, 3]);
  expect([...picture.data.subarray(0, 3)]).toEqual([255, 0, 0]);
});

test("sloppy but complete JPEGs from cameras are read", async () => {
  const bytes = await readFile(photo("person_2_420.jpg"));
  const expected = await decodePhoto(bytes);
  const sos = bytes.indexOf(Buffer.from([0xff, 0xda]));
  const sloppy = Buffer.from(bytes);
  sloppy[sos + 2 + bytes.readUInt16BE(sos + 2) - 2] = 0; // the last coefficient of the scan: 63 in a correct file
  await expect(sharp(sloppy).raw().toBuffer()).rejects.toThrow("Invalid SOS parameters");
  expect(Buffer.compare((await decodePhoto(sloppy)).data, expected.data)).toBe(0);
});

const refusal = (input: string | Uint8Array, options?: DecodeOptions) =>
  decodePhoto(input, options).then(
    () => "no error",
    (error: unknown) => error,
  );
const userError = (code: string) =>
  expect.objectContaining({ name: "UserError", code: `photo/${code}`, remedy: expect.stringMatching(/\w/) });

test("files that cannot be photos are refused", async () => {
  const empty = join(folder, "empty.jpg");
  await writeFile(empty, "");
  expect(await refusal(join(folder, "none.jpg"))).toEqual(userError("missing"));
  expect(await refusal(join(empty, "none.jpg"))).toEqual(userError("missing"));
  expect(await refusal("https://example.com/a.jpg")).toEqual(userError("missing"));
  expect(await refusal(folder)).toEqual(userError("is-folder"));
  expect(await refusal(empty)).toEqual(userError("empty"));
  expect(await refusal(photo("rgba.png"), { maxBytes: 1000 })).toEqual(userError("enormous"));
});

test.each([
  ["text", Buffer.from("not a picture")],
  ["a byte", Buffer.from([0xff])],
  ["a page", Buffer.from("<!doctype html><p>404")],
  ["an SVG, which could name other files", Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')],
  ["a film", Buffer.concat([Buffer.from([0, 0, 0, 20]), Buffer.from("ftypisom0000isom")])],
])("bytes that are not a photo are refused: %s", async (_, bytes) => {
  expect(await refusal(bytes)).toEqual(userError("unreadable"));
});

test("a HEIC photo is refused by that name", async () => {
  const error = await refusal(photo("hevc.heic"));
  expect(error).toEqual(userError("unreadable"));
  expect(String(error)).toContain("HEIC");
});

const whole = async (): Promise<[string, Buffer][]> => {
  const made = (["jpeg", "png", "webp", "gif", "avif", "tiff"] as const).map(async (format): Promise<[string, Buffer]> => {
    return [format, await sharp(photo("rgba.png")).removeAlpha().resize(64).toFormat(format).toBuffer()];
  });
  const progressive = sharp(photo("rgba.png")).jpeg({ progressive: true }).toBuffer();
  return [...(await Promise.all(made)), ["progressive jpeg", await progressive]];
};

test("a photo that was cut off anywhere is refused, not half grey", async () => {
  for (const [format, bytes] of await whole()) {
    expect(await refusal(bytes), format).toBe("no error");
    for (const part of [0.2, 0.5, 0.8, 0.95]) {
      const cut = bytes.subarray(0, Math.floor(bytes.length * part));
      expect(await refusal(cut), `${format} cut at ${part}`).toEqual(userError("truncated"));
    }
  }
});

test("an enormous photo is refused before it is decoded", async () => {
  const [header, ...rest] = readPngChunks(pixelPng(8, 0, [7]));
  const data = Buffer.from(header!.data);
  data.writeUInt32BE(20_000, 0);
  data.writeUInt32BE(5_001, 4);
  expect(await refusal(writePngChunks([{ type: "IHDR", data }, ...rest]))).toEqual(userError("enormous"));
  expect(await refusal(photo("rgba.png"), { maxPixels: 113 * 171 - 1 })).toEqual(userError("enormous"));
  expect(await refusal(photo("rgba.png"), { maxPixels: 113 * 171 })).toBe("no error");
});

test("a photo that is shorter or narrower than asked for is refused with its size", async () => {
  expect(await refusal(photo("rgba.png"), { minSide: 114 })).toEqual(userError("too-small"));
  expect(String(await refusal(photo("rgba.png"), { minSide: 114 }))).toContain("113x171");
  expect(await refusal(photo("rgba.png"), { minSide: 113 })).toBe("no error");
});

test("an error calls bytes by the name that the caller gave", async () => {
  expect(String(await refusal(new Uint8Array(), { name: "photo 2" }))).toContain("photo 2 is empty");
});

const text = (value: string): number[] => [...Buffer.from(value, "latin1")];
const scan = { width: 40, height: 48, pixels: Uint8Array.from({ length: 40 * 48 * 3 }, (_, i) => i % 251) };

test.each<[string, TiffField[]]>([
  ["a description with a NUL in it", [{ tag: 270, type: 2, values: text("a\0b\0") }]],
  ["a description without its end", [{ tag: 270, type: 2, values: text("abcdef") }]],
  [
    "one tag twice",
    [
      { tag: 270, type: 2, values: text("abcd\0") },
      { tag: 270, type: 2, values: text("efgh\0") },
    ],
  ],
  ["a resolution of another type", [{ tag: 282, type: 3, values: [72] }]],
  ["a private tag", [{ tag: 65001, type: 3, values: [1] }]],
  ["an EXIF part that is not there", [{ tag: 34665, type: 4, values: [99_999] }]],
])("a TIFF with %s is read whole, and refused where pixels are cut off", async (_, more) => {
  const file = tiff({ ...scan, more });
  expect(Buffer.compare((await decodePhoto(file)).data, scan.pixels)).toBe(0);
  for (const part of [0.2, 0.5, 0.9, 0.97, 0.999]) {
    const error = await refusal(file.subarray(0, Math.floor(file.length * part)));
    expect(error, `cut at ${part}`).toEqual(userError("truncated"));
    expect(String(error)).not.toContain("failOn");
  }
});

test("a TIFF in L*a*b* is read, with a and b signed or shifted", async () => {
  // L*, a*, b* under D50 of white, black, grey, and sRGB's red
  const colours = [[100, 0, 0], [0, 0, 0], [53.585, 0, 0], [54.29, 80.8, 69.89]] as const; // biome-ignore format: a table
  const expected = [255, 255, 255, 0, 0, 0, 128, 128, 128, 255, 0, 0];
  for (const [photometric, shift] of [
    [8, 0],
    [9, 128],
  ] as const) {
    // biome-ignore format: a table
    const pixels = Uint8Array.from(colours.flatMap(([l, a, b]) => [Math.round(l * 2.55), Math.round(a) + shift, Math.round(b) + shift]));
    const file = tiff({ width: 4, height: 1, pixels, photometric });
    expect((await decodePhoto(file)).data).toMatchGolden(expected, 3);
    expect(await refusal(file.subarray(0, file.length - 4))).toEqual(userError("truncated"));
  }
});

test.each([1, 6])(
  "a JPEG with very many pixels is decoded at a quarter of its sides, upright: EXIF orientation %i",
  async (orientation) => {
    const large = await sharp(photo("person_0_444.jpg"))
      .resize(4005, 3003, { fit: "fill" })
      .withMetadata({ orientation })
      .jpeg()
      .toBuffer();
    const [whole, quarter] = [await decodePhoto(large), await decodePhoto(large, { maxPixels: 12e6 })];
    expect(size(whole)).toEqual(orientation === 1 ? [4005, 3003] : [3003, 4005]);
    expect(size(quarter)).toEqual(orientation === 1 ? [1002, 751] : [751, 1002]);
    // what the ID encoder sees, in levels of 255
    const [a, b] = [clipCrop(whole), clipCrop(quarter)];
    const apart = Array.from(a.data, (value, i) => Math.abs(value - b.data[i]!));
    expect(apart.reduce((sum, each) => sum + each, 0) / apart.length).toBeLessThan(0.5);
    expect(apart.reduce((most, each) => Math.max(most, each))).toBeLessThanOrEqual(16);
    expect(await refusal(large.subarray(0, large.length - 200), { maxPixels: 12e6 })).toEqual(userError("truncated"));
    expect(await refusal(large, { maxPixels: 3_000_000 })).toEqual(userError("enormous"));
  },
);

test("a photo of 108 megapixels is read", async () => {
  const { data, info } = await sharp({ create: { width: 12_000, height: 9000, channels: 3, background: "#c08040" } })
    .jpeg()
    .toBuffer({ resolveWithObject: true });
  expect(info.width * info.height).toBe(108e6);
  const picture = await decodePhoto(data);
  expect(size(picture)).toEqual([3000, 2250]);
  expect([...picture.data.subarray(0, 3)]).toMatchGolden([0xc0, 0x80, 0x40], 2);
});
