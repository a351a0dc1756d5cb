import { Resvg } from "@resvg/resvg-js";
import { resize } from "./resize.ts";
import { type Rgb8, rgb8 } from "./rgb8.ts";
import { font, type TextStyle, textSvg, textWidth, wrapText } from "./text-svg.ts";

export interface SheetTile {
  readonly picture: Rgb8;
  /** Below the picture. */
  readonly caption?: string;
}

export interface SheetRow {
  /** Left of the row. */
  readonly label?: string;
  readonly tiles: readonly SheetTile[];
}

export interface ContactSheet {
  readonly title?: string;
  /** Above the columns. */
  readonly headings?: readonly string[];
  readonly rows: readonly SheetRow[];
  /** The side of a tile in pixels at scale 1; by default the width of the widest picture. */
  readonly tile?: number;
  /** Pixels of the sheet per pixel of the layout: 2 for screens of twice the density. */
  readonly scale?: number;
}

const TITLE: TextStyle = { size: 20, bold: true, colour: "#16181d" };
const HEADING: TextStyle = { size: 13, bold: true, colour: "#16181d" };
const LABEL: TextStyle = { size: 13, bold: true, colour: "#16181d" };
const CAPTION: TextStyle = { size: 12, colour: "#4a4f5a" };
const [MARGIN, GAP, LEADING, WIDEST_LABEL] = [24, 10, 1.36, 150];

/**
 * Draws pictures in rows, with a title, a heading for each column, a label for each row and captions of as many lines as they
 * need. Pictures that are not as wide as a tile are resized smoothly to its width.
 */
export function contactSheet({ title, headings = [], rows, tile, scale = 1 }: ContactSheet): Rgb8 {
  const side = tile ?? Math.max(1, ...rows.flatMap(({ tiles }) => tiles.map(({ picture }) => picture.width)));
  const columns = Math.max(headings.length, ...rows.map(({ tiles }) => tiles.length));
  const grid = columns * side + Math.max(0, columns - 1) * GAP;
  const labels = rows.map(({ label }) => wrapText(label ?? "", WIDEST_LABEL, LABEL));
  const labelWidth = Math.ceil(Math.max(0, ...labels.flat().map((line) => textWidth(line, LABEL))));
  const left = MARGIN + (labelWidth > 0 ? labelWidth + GAP + 4 : 0);
  const column = (c: number): number => left + c * (side + GAP);

  let [text, y] = ["", MARGIN];
  /** Draws lines from `top` downwards; returns their height. */
  const write = (lines: readonly string[], x: number, top: number, style: TextStyle, anchor?: "middle" | "end"): number => {
    for (const [i, line] of lines.entries()) text += textSvg(line, x, top + style.size * (0.95 + i * LEADING), style, anchor);
    return Math.ceil(lines.length * style.size * LEADING);
  };

  if (title !== undefined) y += write(wrapText(title, left - MARGIN + grid, TITLE), MARGIN, y, TITLE) + GAP;
  if (headings.length > 0) {
    const wrapped = headings.map((heading) => wrapText(heading, side, HEADING));
    const lines = Math.max(...wrapped.map(({ length }) => length));
    const heights = wrapped.map((each, c) => {
      const drop = (lines - each.length) * HEADING.size * LEADING; // headings end just above the pictures
      return drop + write(each, column(c) + side / 2, y + drop, HEADING, "middle");
    });
    y += Math.ceil(Math.max(...heights)) + 4;
  }
  const placed: { picture: Rgb8; x: number; y: number; width: number; height: number }[] = [];
  for (const [r, { tiles }] of rows.entries()) {
    const heights = tiles.map(({ picture }) => Math.round((picture.height * side) / picture.width));
    const height = Math.max(0, ...heights);
    const middle = y + (height - labels[r]!.length * LABEL.size * LEADING) / 2;
    write(labels[r]!, left - GAP - 4, middle, LABEL, "end");
    for (const [c, { picture }] of tiles.entries()) placed.push({ picture, x: column(c), y, width: side, height: heights[c]! });
    const captions = tiles.map(({ caption }, c) =>
      caption === undefined ? 0 : write(wrapText(caption, side, CAPTION), column(c), y + heights[c]! + 6, CAPTION) + 10,
    );
    y += height + Math.max(0, ...captions) + GAP;
  }
  const sheet = drawText(text, left + grid + MARGIN, y - GAP + MARGIN, scale);
  for (const each of placed) {
    const [x, top] = [Math.round(each.x * scale), Math.round(each.y * scale)];
    paste(sheet, sized(each.picture, Math.round(each.width * scale), Math.round(each.height * scale)), x, top);
  }
  return sheet;
}

/** Draws text on white. */
function drawText(text: string, width: number, height: number, scale: number): Rgb8 {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.round(width * scale)}" height="${Math.round(height * scale)}"><g transform="scale(${scale})">${text}</g></svg>`;
  const drawn = new Resvg(svg, { font: font(), background: "#ffffff" }).render();
  const { pixels } = drawn;
  const data = new Uint8Array(drawn.width * drawn.height * 3);
  for (let i = 0, j = 0; i < data.length; i += 3, j += 4) data.set(pixels.subarray(j, j + 3), i);
  return rgb8(drawn.width, drawn.height, data);
}

const sized = (picture: Rgb8, width: number, height: number): Rgb8 =>
  picture.width === width && picture.height === height ? picture : resize(picture, width, height, "lanczos");

function paste(sheet: Rgb8, { width, height, data }: Rgb8, x: number, y: number): void {
  for (let row = 0; row < height; row++)
    sheet.data.set(data.subarray(row * width * 3, (row + 1) * width * 3), ((y + row) * sheet.width + x) * 3);
}
