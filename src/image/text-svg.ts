import { fileURLToPath } from "node:url";
import { Resvg, type ResvgRenderOptions } from "@resvg/resvg-js";
import { ownFile } from "../core/own-file.node.ts";

const fontFile = (name: string): string => fileURLToPath(ownFile(`../../assets/fonts/${name}.ttf`, import.meta.url));

/** Fonts that come with the package, so that text looks the same on every machine. They hold Latin letters; others become boxes. */
export const font = (): NonNullable<ResvgRenderOptions["font"]> => ({
  loadSystemFonts: false,
  fontFiles: [fontFile("Inter-Regular"), fontFile("Inter-SemiBold")],
  defaultFontFamily: "Inter",
});

export interface TextStyle {
  readonly size: number; // pixels
  readonly bold?: boolean;
  readonly colour: string;
}

const family = ({ bold = false }: Pick<TextStyle, "bold">): string => (bold ? "Inter SemiBold" : "Inter");
const escaped = (text: string): string => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]!);

/** One line of text; (x, y) is the start of its baseline or, if so anchored, its middle or end. */
export function textSvg(
  text: string,
  x: number,
  y: number,
  style: TextStyle,
  anchor: "start" | "middle" | "end" = "start",
): string {
  const place = anchor === "start" ? "" : ` text-anchor="${anchor}"`;
  return `<text x="${x}" y="${y}"${place} font-family="${family(style)}" font-size="${style.size}" fill="${style.colour}">${escaped(text)}</text>`;
}

const MEASURED = 100; // pixels: the size at which words are measured
const widths = new Map<string, number>();

/** Width of a word's ink, in pixels. */
function wordWidth(word: string, style: TextStyle): number {
  const key = `${family(style)} ${word}`;
  let width = widths.get(key);
  if (width === undefined) {
    const text = textSvg(word, 0, MEASURED, { ...style, size: MEASURED });
    width =
      new Resvg(`<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100">${text}</svg>`, { font: font() }).getBBox()
        ?.width ?? 0;
    widths.set(key, width);
  }
  return (width * style.size) / MEASURED;
}

const SPACE = 0.4; // of the font size: the space and the side bearings of the letters next to it

/** Width of a line, in pixels. */
export function textWidth(text: string, style: TextStyle): number {
  const words = text.split(/\s+/).filter((word) => word !== "");
  return words.reduce((sum, word) => sum + wordWidth(word, style), Math.max(0, words.length - 1) * SPACE * style.size);
}

/** Breaks text into lines of whole words, at most `width` pixels wide; a wider word gets a line of its own. */
export function wrapText(text: string, width: number, style: TextStyle): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    const longer = lines.length > 0 ? `${lines.at(-1)} ${word}` : word;
    if (lines.length > 0 && textWidth(longer, style) <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
