import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodeText } from "./decode-text.ts";
import { readText } from "./read-text.node.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "text-"));
});
afterAll(() => rm(folder, { recursive: true }));

const TEXT = '{"prompt": "ein Mädchen, 男 🎨"}\r\n';
const utf16 = Buffer.from(TEXT, "utf16le");
const mark = (...bytes: number[]) => Uint8Array.from(bytes);

test.each<[string, Uint8Array[]]>([
  ["UTF-8", [Buffer.from(TEXT)]],
  ["UTF-8 with a mark", [mark(0xef, 0xbb, 0xbf), Buffer.from(TEXT)]],
  ["UTF-16 as Windows writes it", [mark(0xff, 0xfe), utf16]],
  ["UTF-16, the high byte first", [mark(0xfe, 0xff), Buffer.from(utf16).swap16()]],
  ["UTF-16 without a mark", [utf16]],
  ["UTF-16 without a mark, the high byte first", [Buffer.from(utf16).swap16()]],
])("%s is read", async (_, parts) => {
  const bytes = Buffer.concat(parts);
  expect(decodeText(bytes, "a.json")).toBe(TEXT);
  await writeFile(join(folder, "a.json"), bytes);
  expect(await readText(join(folder, "a.json"))).toBe(TEXT);
});

test.each([
  ["an empty file", mark(), ""],
  ["a mark alone", mark(0xef, 0xbb, 0xbf), ""],
  ["one character", mark(0x61), "a"],
])("%s is text", (_, bytes, text) => {
  expect(decodeText(bytes, "a.txt")).toBe(text);
});

test.each([
  ["Latin-1", Buffer.from("Mädchen", "latin1"), "a.txt is not text in UTF-8."],
  ["a PNG", mark(0x89, 0x50, 0x4e, 0x47), "a.txt is not text in UTF-8."],
  ["half a character of UTF-16", mark(0xff, 0xfe, 0x61), "a.txt is not text in UTF-16LE."],
])("%s is refused", (_, bytes, message) => {
  expect(() => decodeText(bytes, "a.txt")).toThrow(expect.objectContaining({ code: "text/encoding", message }));
});
