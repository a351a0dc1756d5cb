import { type Colour, luma, mix, multiply } from "../colour.ts";
import type { Head } from "../head.ts";
import { svg } from "../markup.ts";
import type { Pen } from "../pen.ts";
import type { DrawnPerson, EyeColour } from "../person.ts";
import type { Scene } from "../scene.ts";

const IRIS: Readonly<Record<EyeColour, Colour>> = {
  brown: 0x6a3a1a,
  amber: 0xc98412,
  green: 0x3c9d55,
  blue: 0x2f86de,
  grey: 0x7d8b9a,
};
const LASHES = 0x231a1e;

/** Horizontal position of an eye's centre; `side` is -1 for the picture's left. */
export const eyeMiddle = ({ eyes, shift }: Head, { yaw }: Scene, side: number): number =>
  side * eyes.spacing * (1 - 0.05 * side * yaw) + shift;

export function drawEyes(pen: Pen, head: Head, person: DrawnPerson, scene: Scene): void {
  const { skin, eyes, male, age } = head;
  const { y, ry, tilt } = eyes;
  const iris = IRIS[person.eyeColour];
  for (const side of [-1, 1]) {
    const x = eyeMiddle(head, scene, side);
    const rx = eyes.rx * (1 - 0.09 * Math.max(0, side * scene.yaw));
    const turn = -side * tilt;
    const [cos, sin] = [Math.cos((turn * Math.PI) / 180), Math.sin((turn * Math.PI) / 180)];
    const at = (u: number, v: number) => svg`${x + u * cos - v * sin},${y + u * sin + v * cos}`;
    const white = `M${at(-rx, ry * 0.12)} Q${at(-rx * 0.62, -ry * 1.08)} ${at(0, -ry)} Q${at(rx * 0.62, -ry * 1.08)} ${at(rx, ry * 0.12)} Q${at(rx * 0.6, ry * 1.02)} ${at(0, ry)} Q${at(-rx * 0.6, ry * 1.02)} ${at(-rx, ry * 0.12)}Z`;
    pen.path(white, 0xfdfdfd, { outline: false });
    const r = Math.min(rx * 0.7, ry * 0.94);
    const ix = x + scene.yaw * 0.5;
    pen.ellipse(ix, y, r, r, iris, {
      outline: false,
      shade: pen.gradient(multiply(iris, 0.72), mix(iris, 0xffffff, 0.22), 0, y - r, 0, y + r),
    });
    pen.ellipse(ix, y, r * 0.44, r * 0.44, 0x120d12, { outline: false });
    pen.ellipse(ix - r * 0.34, y - r * 0.36, r * 0.27, r * 0.27, 0xffffff, { outline: false });
    const lid = `M${at(-rx * 1.05, ry * 0.2)} Q${at(-rx * 0.64, -ry * 1.12)} ${at(0, -ry * 1.02)} Q${at(rx * 0.64, -ry * 1.12)} ${at(rx * 1.05, ry * 0.2)}`;
    pen.line(lid, male ? mix(multiply(skin, 0.34), LASHES, 0.45) : LASHES, male ? 1.15 : 1.6);
    if (!male && age !== "child")
      pen.line(`M${at(side * rx * 0.86, -ry * 0.42)} L${at(side * rx * 1.42, -ry * 0.86)}`, LASHES, 1.2);
  }
}

export function drawBrows(pen: Pen, head: Head, scene: Scene): void {
  const { hair, brows, eyes } = head;
  const colour = luma(hair) > 0.2 ? multiply(hair, 0.64) : multiply(hair, 0.9);
  const half = eyes.rx * 1.08;
  for (const side of [-1, 1]) {
    const x = eyeMiddle(head, scene, side);
    const angle = (side * brows.angle * Math.PI) / 180; // inner end down
    const [dx, dy] = [Math.cos(angle) * half, -Math.sin(angle) * half];
    pen.line(svg`M${x - dx},${brows.y - dy} Q${x},${brows.y - 1.6} ${x + dx},${brows.y + dy}`, colour, brows.thickness);
  }
}
