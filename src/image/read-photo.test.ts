import { readFile } from "node:fs/promises";
import sharp from "sharp";
import { expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { decodeHeic } from "./decode-heic.ts";
import { decodePhoto } from "./decode-photo.ts";
import { photoFormat } from "./photo-format.ts";
import { readPhoto } from "./read-photo.ts";
import { resize } from "./resize.ts";

const heic = goldenPath("photos", "hevc.heic");
const refusal = (code: string, problem: string, remedy = "") =>
  expect.objectContaining({
    ...{ name: "UserError", code: `photo/${code}` },
    ...{ message: expect.stringContaining(problem), remedy: expect.stringContaining(remedy) },
  });

test("a HEIC photo is read where libheif-js is installed", async () => {
  const picture = await readPhoto(heic);
  const original = resize(await decodePhoto(goldenPath("photos", "person_2.png")), 60, 44, "bicubic");
  expect([picture.width, picture.height]).toEqual([60, 44]);
  const apart = picture.data.reduce((sum, v, i) => sum + Math.abs(v - original.data[i]!), 0) / picture.data.length;
  expect(apart).toBeLessThan(4); // levels: it was saved in poor quality
  expect(await readPhoto(await readFile(heic))).toEqual(picture);
});

test("without the library, the refusal says how to install it, and how to do without", async () => {
  await expect(decodeHeic(await readFile(heic), "me.heic", "no-such-library")).rejects.toThrow(
    refusal("unreadable", "me.heic is a HEIC photo", "npm install libheif-js"),
  );
});

test("a HEIC photo that is cut off or too large is refused", async () => {
  const bytes = await readFile(heic);
  await expect(readPhoto(bytes.subarray(0, 600))).rejects.toThrow(refusal("truncated", "incomplete or damaged"));
  await expect(readPhoto(bytes, { maxPixels: 2000 })).rejects.toThrow(refusal("enormous", "60x44"));
});

test.each([
  ["JPEG XL", [0xff, 0x0a, 1, 2]],
  ["JPEG XL", [...Buffer.from("\0\0\0\x0cJXL \r\n\x87\n", "latin1")]],
  ["a film", [...Buffer.from("\0\0\0\x14ftypqt  rest", "latin1")]],
  ["raw file", [...Buffer.from("\0\0\0\x18ftypcrx rest", "latin1")]],
  ["PDF", [...Buffer.from("%PDF-1.7 and more", "latin1")]],
])("what is no photo to be read is refused by its kind: %s", async (kind, bytes) => {
  expect(photoFormat(Uint8Array.from(bytes))).toBeUndefined();
  await expect(readPhoto(Uint8Array.from(bytes))).rejects.toThrow(refusal("unreadable", kind, "JPEG"));
});

test("a motion photo is read as its picture, and an Ultra HDR photo as the picture that every program shows", async () => {
  const jpeg = await readFile(goldenPath("photos", "person_0_444.jpg"));
  const plain = await readPhoto(jpeg);
  const film = Buffer.concat([Buffer.from([0, 0, 0, 20]), Buffer.from("ftypmp42\0\0\0\0mp42"), Buffer.alloc(5000, 7)]);
  expect(await readPhoto(Buffer.concat([jpeg, film]))).toEqual(plain);
  const gainMap = await sharp({ create: { width: 20, height: 20, channels: 3, background: "#808080" } })
    .jpeg()
    .toBuffer();
  expect(await readPhoto(ultraHdr(jpeg, gainMap))).toEqual(plain);
});

/** An Ultra HDR photo: XMP and a list of pictures (CIPA DC-007) in the first one, and behind it a gain map with XMP of its own. */
function ultraHdr(jpeg: Buffer, gainMap: Buffer): Buffer {
  const segment = (marker: number, ...parts: (string | Buffer)[]): Buffer => {
    const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
    const head = Buffer.from([0xff, marker, 0, 0]);
    head.writeUInt16BE(body.length + 2, 2);
    return Buffer.concat([head, body]);
  };
  const xmp = (attributes: string, inside = ""): Buffer =>
    segment(
      0xe1,
      `http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:Container="http://ns.google.com/photos/1.0/container/" xmlns:Item="http://ns.google.com/photos/1.0/container/item/" hdrgm:Version="1.0" ${attributes}>${inside}</rdf:Description></rdf:RDF></x:xmpmeta>`,
    );
  const gain = Buffer.concat([
    gainMap.subarray(0, 2),
    xmp(
      'hdrgm:GainMapMin="0" hdrgm:GainMapMax="2" hdrgm:Gamma="1" hdrgm:OffsetSDR="0" hdrgm:OffsetHDR="0" hdrgm:HDRCapacityMin="0" hdrgm:HDRCapacityMax="2"',
    ),
    gainMap.subarray(2),
  ]);
  const list = (item: string, more = ""): string =>
    `<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="${item}" Item:Mime="image/jpeg"${more}/></rdf:li>`;
  const directory = xmp(
    "",
    `<Container:Directory><rdf:Seq>${list("Primary")}${list("GainMap", ` Item:Length="${gain.length}"`)}</rdf:Seq></Container:Directory>`,
  );
  const entries = Buffer.alloc(8 + 2 + 3 * 12 + 4 + 32);
  entries.write("MM\0*", 0, "latin1");
  entries.writeUInt32BE(8, 4);
  entries.writeUInt16BE(3, 8);
  const field = (at: number, tag: number, type: number, count: number, value: number): void => {
    entries.writeUInt16BE(tag, at);
    entries.writeUInt16BE(type, at + 2);
    entries.writeUInt32BE(count, at + 4);
    entries.writeUInt32BE(value, at + 8);
  };
  field(10, 0xb000, 7, 4, 0x30313030);
  field(22, 0xb001, 4, 1, 2);
  field(34, 0xb002, 7, 32, 50);
  const mpf = (): Buffer => segment(0xe2, "MPF\0", entries);
  const primaryLength = jpeg.length + directory.length + mpf().length;
  entries.writeUInt32BE(0x030000, 50);
  entries.writeUInt32BE(primaryLength, 54);
  entries.writeUInt32BE(gain.length, 70);
  entries.writeUInt32BE(primaryLength - (2 + directory.length + 8), 74); // from the byte-order mark on
  return Buffer.concat([jpeg.subarray(0, 2), directory, mpf(), jpeg.subarray(2), gain]);
}
