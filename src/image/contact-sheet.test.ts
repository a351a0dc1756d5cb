import { expect, test } from "vitest";
import { contactSheet } from "./contact-sheet.ts";
import { type Rgb8, rgb8 } from "./rgb8.ts";
import { textWidth, wrapText } from "./text-svg.ts";

const plain = (width: number, height: number, value: number) =>
  rgb8(width, height, new Uint8Array(width * height * 3).fill(value));
/** Number of dark pixels in a part of the sheet. */
function ink({ width, data }: Rgb8, left: number, top: number, right: number, bottom: number): number {
  let count = 0;
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) if (data[(y * width + x) * 3]! < 128) count++;
  return count;
}

test("a caption stands under its picture, and only there", () => {
  const tile = plain(100, 100, 200);
  const sheet = contactSheet({
    rows: [{ tiles: [{ picture: tile, caption: "a photo of a man in the city" }, { picture: tile }] }],
  });
  expect(sheet.width).toBe(24 + 100 + 10 + 100 + 24);
  const below = 24 + 100;
  expect(ink(sheet, 24, below, 124, sheet.height)).toBeGreaterThan(100);
  expect(ink(sheet, 134, below, sheet.width, sheet.height)).toBe(0);
  expect(ink(sheet, 0, 0, sheet.width, below)).toBe(0);
});

test("title, headings and labels have their places", () => {
  const rows = [{ label: "Ada", tiles: [{ picture: plain(80, 80, 255) }] }];
  const bare = contactSheet({ rows: [{ tiles: rows[0]!.tiles }] });
  const sheet = contactSheet({ title: "People", headings: ["photo"], rows });
  expect(ink(bare, 0, 0, bare.width, bare.height)).toBe(0);
  expect(sheet.height - bare.height).toBeGreaterThan(40);
  expect(sheet.width).toBeGreaterThan(bare.width + 20);
  const left = sheet.width - 24 - 80;
  expect(ink(sheet, 0, 0, sheet.width, 24 + 28)).toBeGreaterThan(50); // the title
  expect(ink(sheet, left, 24 + 28, sheet.width, sheet.height - 24 - 80)).toBeGreaterThan(30); // the heading
  expect(ink(sheet, 0, sheet.height - 24 - 80, left, sheet.height)).toBeGreaterThan(30); // the label
});

test("scale and tile upsample pictures smoothly and keep their colour", () => {
  const rows = [{ tiles: [{ picture: plain(16, 16, 90) }] }];
  const sheet = contactSheet({ rows, tile: 50, scale: 2 });
  expect([sheet.width, sheet.height]).toEqual([196, 196]);
  expect(ink(sheet, 48, 48, 148, 148)).toBe(100 * 100);
  expect(ink(sheet, 0, 0, 196, 196)).toBe(100 * 100);
});

test("text wraps between words within its width", () => {
  const style = { size: 12, colour: "#000" };
  const lines = wrapText("a watercolor painting of a smiling old woman wearing a purple dress", 100, style);
  expect(lines.length).toBeGreaterThan(2);
  for (const line of lines) expect(textWidth(line, style)).toBeLessThanOrEqual(100);
  expect(lines.join(" ")).toBe("a watercolor painting of a smiling old woman wearing a purple dress");
  expect(wrapText("", 100, style)).toEqual([]);
});

test("text may hold any character", () => {
  const text = (caption: string) => contactSheet({ rows: [{ tiles: [{ picture: plain(60, 60, 255), caption }] }] });
  const sheet = text('<b> & "c"');
  expect(ink(sheet, 24, 84, 84, sheet.height)).toBeGreaterThan(20);
  const box = text("日");
  expect(ink(box, 24, 84, 84, box.height)).toBeGreaterThan(5);
});
