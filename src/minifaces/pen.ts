import { type Colour, hex, luma, mix, multiply, rgb, saturate } from "./colour.ts";
import { svg } from "./markup.ts";
import type { Scene, Style } from "./scene.ts";

/** A gradient that has been defined; undefined in styles without gradients. */
export type Shade = string | undefined;

export interface Look {
  readonly opacity?: number;
  /** Whether the style's outline is drawn around it (default). */
  readonly outline?: boolean;
  readonly shade?: Shade;
  /** Rotation about its own centre, degrees. */
  readonly turn?: number;
}

/** Draws shapes in the style of a picture, and collects them. */
export interface Pen {
  /** A linear gradient between two colours. */
  gradient(from: Colour, to: Colour, x1: number, y1: number, x2: number, y2: number): Shade;
  /** A radial gradient from the centre to the rim. */
  glow(from: Colour, to: Colour, x: number, y: number, radius: number): Shade;
  path(d: string, colour: Colour, look?: Look): void;
  ellipse(x: number, y: number, rx: number, ry: number, colour: Colour, look?: Look): void;
  rect(x: number, y: number, width: number, height: number, colour: Colour, look?: Look): void;
  line(d: string, colour: Colour, width: number, opacity?: number): void;
  /** Definitions and shapes drawn so far, as SVG. */
  markup(): string;
}

/** How a style changes a colour, and what line it draws around shapes. */
interface Ink {
  readonly tint: (colour: Colour) => Colour;
  readonly outline: (colour: Colour) => string;
  readonly gradients: boolean;
}

/** @param name separates the gradients of several pens of one picture */
export function createPen(name: string, scene: Scene, layer: "background" | "person"): Pen {
  const { tint, outline, gradients } = inkOf(scene.style, scene, layer === "background");
  let [defs, shapes, count] = ["", "", 0];
  const paint = (colour: Colour, { opacity, outline: outlined = true, shade }: Look): string =>
    svg`fill="${shade ?? hex(tint(colour))}"${opacity === undefined ? "" : svg` opacity="${opacity}"`}${outlined ? outline(colour) : ""}/>`;
  const stops = (from: Colour, to: Colour) =>
    `<stop stop-color="${hex(tint(from))}"/><stop offset="1" stop-color="${hex(tint(to))}"/>`;
  const define = (make: (id: string) => string): Shade => {
    if (!gradients) return undefined;
    const id = `${name}${count++}`;
    defs += make(id);
    return `url(#${id})`;
  };
  return {
    gradient: (from, to, x1, y1, x2, y2) =>
      define(
        (id) =>
          svg`<linearGradient id="${id}" gradientUnits="userSpaceOnUse" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}">${stops(from, to)}</linearGradient>`,
      ),
    glow: (from, to, x, y, radius) =>
      define(
        (id) =>
          svg`<radialGradient id="${id}" gradientUnits="userSpaceOnUse" cx="${x}" cy="${y}" r="${radius}">${stops(from, to)}</radialGradient>`,
      ),
    path(d, colour, look = {}) {
      shapes += `<path d="${d}" ${paint(colour, look)}`;
    },
    ellipse(x, y, rx, ry, colour, look = {}) {
      const turn = look.turn ? svg`transform="rotate(${look.turn} ${x} ${y})" ` : "";
      shapes += svg`<ellipse cx="${x}" cy="${y}" rx="${rx}" ry="${ry}" ${turn}${paint(colour, look)}`;
    },
    rect(x, y, width, height, colour, look = {}) {
      shapes += svg`<rect x="${x}" y="${y}" width="${width}" height="${height}" ${paint(colour, look)}`;
    },
    line(d, colour, width, opacity = 1) {
      const faint = opacity < 1 ? svg` stroke-opacity="${opacity}"` : "";
      shapes += svg`<path d="${d}" fill="none" stroke="${hex(tint(colour))}" stroke-width="${width}" stroke-linecap="round" stroke-linejoin="round"${faint}/>`;
    },
    markup: () => (defs ? `<defs>${defs}</defs>${shapes}` : shapes),
  };
}

export const PAPER = { sketch: 0xf8f6f0, watercolor: 0xfffbf3 };

function inkOf(style: Style, { light, warmth }: Scene, background: boolean): Ink {
  const stroke = (colour: Colour, width: number, opacity = 1) =>
    svg` stroke="${hex(colour)}" stroke-width="${width}" stroke-linejoin="round"${opacity < 1 ? svg` stroke-opacity="${opacity}"` : ""}`;
  switch (style) {
    case "photo":
      return {
        tint: (c) => multiply(c, light * (1 + 0.04 * warmth), light, light * (1 - 0.05 * warmth)),
        outline: () => "",
        gradients: true,
      };
    case "comic": {
      const line = background ? "" : stroke(0x1c1622, 1.15);
      return { tint: (c) => saturate(c, background ? 1.15 : 1.3), outline: () => line, gradients: false };
    }
    case "sketch": {
      const line = background ? stroke(0xc4c1ba, 0.6) : stroke(0x45434a, 0.9);
      const grey = (c: Colour) => 255 * (background ? 0.86 + 0.1 * luma(c) : 0.2 + 0.8 * luma(c) ** 0.75);
      return { tint: (c) => rgb(grey(c), grey(c) * 0.995, grey(c) * 0.975), outline: () => line, gradients: false };
    }
    case "watercolor": {
      const wash = background ? 0.45 : 0.22;
      const tint = (c: Colour) => mix(c, PAPER.watercolor, wash);
      return { tint, outline: (c) => (background ? "" : stroke(tint(multiply(c, 0.7)), 0.7, 0.7)), gradients: true };
    }
  }
}
