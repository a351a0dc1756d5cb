import { Resvg } from "@resvg/resvg-js";
import { type Rgb8, rgb8 } from "./rgb8.ts";
import { font } from "./text-svg.ts";

/** Draws SVG elements over a picture, in its pixels. */
export function drawOver(picture: Rgb8, elements: string): Rgb8 {
  const { width, height } = picture;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${elements}</svg>`;
  const { pixels } = new Resvg(svg, { font: font() }).render();
  const data = picture.data.map((v, i) => {
    const at = Math.floor(i / 3) * 4;
    return Math.min(255, Math.round(pixels[at + (i % 3)]! + (1 - pixels[at + 3]! / 255) * v)); // colours come multiplied by alpha
  });
  return rgb8(width, height, data);
}
