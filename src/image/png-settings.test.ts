import fc from "fast-check";
import sharp from "sharp";
import { expect, test } from "vitest";
import { decodePhoto } from "./decode-photo.ts";
import { encodePng } from "./encode-png.ts";
import { readPngChunks, writePngChunks } from "./png-chunks.ts";
import { readPngSettings, withPngSettings } from "./png-settings.ts";
import { rgb8 } from "./rgb8.ts";

const picture = rgb8(
  2,
  3,
  Uint8Array.from({ length: 18 }, (_, i) => i * 13),
);
const plain = await encodePng(picture);

test("pixels survive, grey ones too", async () => {
  expect(await decodePhoto(plain)).toEqual(picture);
  const grey = rgb8(2, 1, Uint8Array.of(7, 7, 7, 9, 9, 9));
  expect(await decodePhoto(await encodePng(grey))).toEqual(grey);
  expect((await sharp(await encodePng(grey)).metadata()).channels).toBe(3);
});

test("the same picture and settings give the same bytes", async () => {
  const settings = { parameters: "a", settings: { seed: 1 } };
  expect(await encodePng(picture, settings)).toEqual(await encodePng(picture, settings));
});

test("settings survive, in any language, beside whole pixels", async () => {
  const text = fc.string({ unit: "binary", maxLength: 40 }).map((s) => s.replaceAll("\0", ""));
  await fc.assert(
    fc.asyncProperty(text, fc.jsonValue(), async (parameters, settings) => {
      const png = withPngSettings(plain, { parameters, settings });
      expect(readPngSettings(png)).toEqual({ parameters, settings: JSON.parse(JSON.stringify(settings)) });
      expect(await decodePhoto(png)).toEqual(picture);
    }),
    { numRuns: 60 },
  );
});

test("half a surrogate pair survives in the settings, though UTF-8 cannot hold it", () => {
  expect(readPngSettings(withPngSettings(plain, { settings: "\ud800" }))).toEqual({ settings: "\ud800" });
});

test("a long prompt is no trouble", () => {
  const parameters = "é".repeat(500_000);
  expect(readPngSettings(withPngSettings(plain, { parameters }))).toEqual({ parameters });
});

test.each([
  ["a man img, café", "tEXt"],
  ["\u0080\u009f", "tEXt"],
  ["un año 男人", "iTXt"],
  ["\u0100", "iTXt"],
])("parameters %j are stored as Pillow would: %s", (parameters, type) => {
  const chunks = readPngChunks(withPngSettings(plain, { parameters }));
  expect(chunks.map((chunk) => chunk.type).slice(0, 2)).toEqual(["IHDR", type]);
});

test("the bytes of text chunks are those of the specification", () => {
  const [, latin, international] = readPngChunks(withPngSettings(plain, { parameters: "é", settings: { p: "男" } }));
  expect(Buffer.from(latin!.data).toString("latin1")).toBe("parameters\0é");
  expect(Buffer.from(international!.data).toString()).toBe('photomaker\0\0\0\0\0{"p":"男"}');
});

test("a byte order mark at the beginning is text", () => {
  expect(readPngSettings(withPngSettings(plain, { parameters: "\ufeffa" }))).toEqual({ parameters: "\ufeffa" });
});

test("a NUL in the text is replaced", () => {
  expect(readPngSettings(withPngSettings(plain, { parameters: "a\0b" }))).toEqual({ parameters: "a\ufffdb" });
});

test("a picture of another program has no settings", () => {
  expect(readPngSettings(plain)).toEqual({});
});

const withText = (type: string, text: string): Uint8Array => {
  const [header, ...rest] = readPngChunks(plain);
  return writePngChunks([header!, { type, data: Buffer.from(text, "latin1") }, ...rest]);
};

test("text of other programs is read: a language, and a translated keyword", () => {
  expect(readPngSettings(withText("iTXt", "parameters\0\0\0de\0Werte\0ja"))).toEqual({ parameters: "ja" });
});

const flipped = Uint8Array.from(plain);
flipped[20]! ^= 1;

test.each<[string, string, Uint8Array]>([
  ["not a PNG", "unreadable", Buffer.from("JPEG")],
  ["nothing", "unreadable", new Uint8Array()],
  ["a file cut off in a chunk", "unreadable", plain.subarray(0, plain.length - 14)],
  ["a file cut off between chunks", "unreadable", plain.subarray(0, plain.length - 12)],
  ["a flipped bit", "unreadable", flipped],
  ["settings that are not JSON", "unreadable", withText("iTXt", "photomaker\0\0\0\0\0{")],
  ["a text chunk without its fields", "unreadable", withText("iTXt", "parameters\0\0\0")],
  ["compressed text", "compressed-text", withText("zTXt", "parameters\0\0x")],
  ["compressed international text", "compressed-text", withText("iTXt", "parameters\0\u0001\0\0\0x")],
])("refuses %s: png/%s", (_, code, png) => {
  expect(() => readPngSettings(png)).toThrow(expect.objectContaining({ name: "UserError", code: `png/${code}` }));
});
