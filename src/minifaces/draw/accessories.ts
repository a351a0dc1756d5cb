import { luma, mix, multiply } from "../colour.ts";
import type { Head } from "../head.ts";
import { svg } from "../markup.ts";
import type { Pen } from "../pen.ts";
import type { Accessory, Scene } from "../scene.ts";
import { CLOTH, contrasting } from "./clothes.ts";
import { eyeMiddle } from "./eyes.ts";

const FRAME = 0x232029;

/** Draws what the person wears on the head or around the neck. */
export function drawAccessory(pen: Pen, head: Head, scene: Scene): void {
  if (scene.accessory !== "none") DRAW[scene.accessory](pen, head, scene);
}

const DRAW: Readonly<Record<Exclude<Accessory, "none">, (pen: Pen, head: Head, scene: Scene) => void>> = {
  hat(pen, { width: w, height: h, volume: v, eyes }, { accessoryColour, lightFrom }) {
    const colour = CLOTH[accessoryColour];
    const [brim, o, top] = [Math.min(-h * 0.46, eyes.y - eyes.ry - 4.4), w + v * 0.6 + 1.6, -h * 1.62 - v];
    const [light, dark] = [mix(colour, 0xffffff, 0.14), multiply(colour, 0.8)];
    pen.ellipse(0, -h * 1.34 - v * 0.8, 5, 4.8, mix(colour, 0xffffff, luma(colour) > 0.8 ? 0.9 : 0.55));
    pen.path(svg`M${-o},${brim} C${-o - 1},${top} ${o + 1},${top} ${o},${brim}Z`, colour, {
      shade: pen.gradient(light, dark, o * lightFrom, -h * 1.3, -o * lightFrom, brim),
    });
    const d = svg`M${-o - 1},${brim - 5} Q0,${brim - 8} ${o + 1},${brim - 5} L${o + 1},${brim + 1.6} Q0,${brim - 1.2} ${-o - 1},${brim + 1.6}Z`;
    pen.path(d, contrasting(colour, 0.78));
  },
  headphones(pen, { width, height, volume, ear, eyes }) {
    const [x, top] = [width + ear * 0.5 + 1.6, -height - volume - 3];
    pen.line(svg`M${-x},${eyes.y} C${-x - 1},${top * 1.28} ${x + 1},${top * 1.28} ${x},${eyes.y}`, 0x34333d, 3.6);
    for (const side of [-1, 1]) {
      pen.ellipse(side * x, eyes.y + 3, 4.8, 7.6, 0x34333d);
      pen.ellipse(side * (x + 1.4), eyes.y + 3, 2.5, 5, 0xe2544f, { outline: false });
    }
  },
  crown(pen, { width, height, volume }) {
    const [y, x] = [-height * 0.74 - volume * 0.5, width * 0.8];
    const d = svg`M${-x},${y} L${-x - 3},${y - 14} L${-x * 0.5},${y - 7} L0,${y - 17} L${x * 0.5},${y - 7} L${x + 3},${y - 14} L${x},${y} Q0,${y + 4} ${-x},${y}Z`;
    pen.path(d, 0xf6c52f, { shade: pen.gradient(0xffe07a, 0xe5a51c, 0, y - 16, 0, y + 2) });
    for (const k of [-1, 0, 1]) pen.ellipse(k * x * 0.58, y - 2.2, 2, 2, 0xd83a5a, { outline: false });
  },
  scarf(pen, { height, male }, { accessoryColour }) {
    const colour = CLOTH[accessoryColour];
    const [y, x] = [height + 3.5, male ? 14.5 : 12.5];
    pen.path(svg`M4,${y + 8} L14,${y + 9} L16,${y + 36} L6,${y + 36}Z`, contrasting(colour, 0.84));
    const d = svg`M${-x},${y - 1} Q0,${y + 9} ${x},${y - 1} Q${x + 4},${y + 6} ${x},${y + 10} Q0,${y + 20} ${-x},${y + 10} Q${-x - 4},${y + 6} ${-x},${y - 1}Z`;
    pen.path(d, colour, { shade: pen.gradient(mix(colour, 0xffffff, 0.12), multiply(colour, 0.78), 0, y - 2, 0, y + 12) });
  },
  glasses: drawGlasses,
  sunglasses: drawGlasses,
};

function drawGlasses(pen: Pen, head: Head, scene: Scene): void {
  const { width: w, eyes } = head;
  const dark = scene.accessory === "sunglasses";
  const r = Math.min(Math.max(6.4, eyes.rx * 1.2), eyes.spacing - 0.9);
  const x = (side: number) => eyeMiddle(head, scene, side);
  pen.line(svg`M${x(-1) + r},${eyes.y - 0.8} Q${(x(-1) + x(1)) / 2},${eyes.y - 2.2} ${x(1) - r},${eyes.y - 0.8}`, FRAME, 1.7);
  for (const side of [-1, 1]) {
    pen.line(svg`M${x(side) + side * r},${eyes.y - 1} L${side * w},${eyes.y - 1.6}`, FRAME, 1.5);
    if (dark) {
      pen.ellipse(x(side), eyes.y + 0.6, r + 0.6, r * 0.94, 0x1d1b24, {
        outline: false,
        shade: pen.gradient(0x15131b, 0x454155, 0, eyes.y - r, 0, eyes.y + r),
      });
      pen.line(
        svg`M${x(side) - r * 0.5},${eyes.y - r * 0.2} Q${x(side) - r * 0.4},${eyes.y - r * 0.5} ${x(side) - r * 0.1},${eyes.y - r * 0.55}`,
        0xffffff,
        1.1,
        0.6,
      );
    } else {
      pen.ellipse(x(side), eyes.y, r, r * 0.97, 0xe6f3ff, { outline: false, opacity: 0.16 });
      pen.line(
        svg`M${x(side) - r},${eyes.y} a${r},${r * 0.97} 0 1 0 ${2 * r},0 a${r},${r * 0.97} 0 1 0 ${-2 * r},0Z`,
        FRAME,
        1.7,
      );
    }
  }
}
