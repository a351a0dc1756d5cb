import { type Colour, luma, mix, multiply } from "../colour.ts";
import type { Head } from "../head.ts";
import { svg } from "../markup.ts";
import type { Pen } from "../pen.ts";
import type { ClothesColour, Scene } from "../scene.ts";

export const CLOTH: Readonly<Record<ClothesColour, Colour>> = {
  red: 0xd9403f,
  orange: 0xf2862e,
  yellow: 0xf6cf45,
  green: 0x3fa65a,
  blue: 0x3768cf,
  purple: 0x8549bd,
  pink: 0xf493ba,
  white: 0xf4f3ef,
  black: 0x2e2d35,
};

/** A darker shade of a colour, or a lighter one of a dark colour, for collars and the like. */
export const contrasting = (colour: Colour, by = 0.72): Colour =>
  luma(colour) > 0.2 ? multiply(colour, by) : mix(colour, 0xffffff, 0.22);

/** Draws the neck, the shoulders and what covers them. */
export function drawBody(pen: Pen, { male, age, height, skin }: Head, { clothesColour, clothesType, lightFrom }: Scene): void {
  const size = age === "child" ? 0.82 : 1;
  const [shoulder, neck, y] = [(male ? 35 : 30) * size, (male ? 8.4 : 6.6) * (age === "child" ? 0.88 : 1), height + 7];
  const colour = CLOTH[clothesColour];
  const shade = pen.gradient(
    mix(colour, 0xffffff, 0.1),
    multiply(colour, 0.8),
    shoulder * lightFrom * 0.8,
    y,
    -shoulder * lightFrom * 0.8,
    y + 34,
  );
  const throat = multiply(skin, 0.86, 0.79, 0.77);
  const body = svg`M${-shoulder},${y + 80} V${y + 19} C${-shoulder},${y + 6} ${-neck - 12},${y + 4} ${-neck - 1},${y - 1.5} Q0,${y + 11} ${neck + 1},${y - 1.5} C${neck + 12},${y + 4} ${shoulder},${y + 6} ${shoulder},${y + 19} V${y + 80}Z`;
  pen.path(svg`M${-neck},${height * 0.5} L${-neck},${y + 1} Q0,${y + 16} ${neck},${y + 1} L${neck},${height * 0.5}Z`, throat, {
    shade: pen.gradient(multiply(skin, 0.74, 0.66, 0.63), multiply(skin, 0.95, 0.9, 0.88), 0, height * 0.9, 0, y + 8),
  });
  if (clothesType === "dress") {
    pen.path(body, skin, { shade: pen.gradient(skin, multiply(skin, 0.86, 0.8, 0.78), 0, y, 0, y + 34) });
    const s = shoulder;
    const d = svg`M${-s * 0.94},${y + 80} L${-s * 0.78},${y + 24} Q${-s * 0.56},${y + 17} ${-s * 0.52},${y + 3} L${-s * 0.34},${y + 1} Q${-s * 0.3},${y + 15} 0,${y + 17} Q${s * 0.3},${y + 15} ${s * 0.34},${y + 1} L${s * 0.52},${y + 3} Q${s * 0.56},${y + 17} ${s * 0.78},${y + 24} L${s * 0.94},${y + 80}Z`;
    pen.path(d, colour, { shade });
    return;
  }
  pen.path(body, colour, { shade });
  const trim = contrasting(colour);
  if (clothesType === "suit") {
    pen.path(svg`M${-neck - 1.5},${y - 2} L0,${y + 34} L${neck + 1.5},${y - 2} Q0,${y + 10} ${-neck - 1.5},${y - 2}Z`, 0xfafafa);
    const tie = clothesColour === "red" || clothesColour === "pink" ? 0x2f3a5f : 0xb3273c;
    pen.path(svg`M-2.6,${y + 5} H2.6 L4,${y + 24} L0,${y + 31} L-4,${y + 24}Z`, tie);
    for (const q of [-1, 1])
      pen.path(svg`M${q * (neck + 1)},${y - 2.5} L${q * (neck + 9)},${y + 4} L${q * (neck + 4.5)},${y + 12} L0,${y + 36}Z`, trim);
  } else if (clothesType === "hoodie") {
    const d = svg`M${-neck - 9},${y + 6} Q${-neck - 6},${y - 9} ${-neck},${y - 5} Q0,${y + 10} ${neck},${y - 5} Q${neck + 6},${y - 9} ${neck + 9},${y + 6} Q0,${y + 27} ${-neck - 9},${y + 6}Z`;
    pen.path(d, trim);
    for (const q of [-1, 1])
      pen.line(svg`M${q * 4.4},${y + 14} L${q * 5},${y + 27}`, luma(colour) < 0.72 ? 0xfafafa : 0x66666e, 1.8);
  } else if (clothesType === "sweater") {
    const stripe = luma(colour) < 0.72 ? 0xfafafa : 0x5b5f74;
    for (let k = 0; k < 3; k++) {
      const top = y + 15 + k * 11;
      const x = shoulder * (k === 0 ? 0.985 : 1);
      pen.rect(-x, top, 2 * x, 4.6, stripe, { outline: false });
    }
    pen.path(
      svg`M${-neck - 2.4},${y - 2} Q0,${y + 12} ${neck + 2.4},${y - 2} L${neck + 3},${y + 2.4} Q0,${y + 17.5} ${-neck - 3},${y + 2.4}Z`,
      trim,
    );
  } else
    for (const q of [-1, 1])
      pen.path(svg`M${q * (neck + 0.6)},${y - 4} L${q * (neck + 7.4)},${y + 3.4} L${q * 5},${y + 14} L0,${y + 6.4}Z`, trim);
}
