import { luma, mix, multiply } from "../colour.ts";
import { type Head, jawPath } from "../head.ts";
import { svg } from "../markup.ts";
import type { Pen } from "../pen.ts";
import type { DrawnPerson } from "../person.ts";
import type { Scene } from "../scene.ts";

export function drawEars(pen: Pen, { width, ear, skin, eyes }: Head, { yaw }: Scene): void {
  for (const side of [-1, 1]) {
    const [x, y] = [side * (width + ear * 0.2) - yaw * 1.8, eyes.y + 3.5];
    pen.ellipse(x, y, ear * 0.76, ear * 1.2, multiply(skin, 0.94));
    pen.ellipse(x + side * 0.3, y + 0.4, ear * 0.38, ear * 0.7, multiply(skin, 0.78, 0.7, 0.68), {
      outline: false,
      opacity: 0.7,
    });
  }
}

export function drawFace(pen: Pen, head: Head, person: DrawnPerson, { lightFrom }: Scene): void {
  const { width: w, height: h, skin, shift, eyes } = head;
  const from = lightFrom < 0 ? -1 : 1;
  const shade = pen.gradient(
    mix(skin, 0xffffff, 0.14),
    multiply(skin, 0.9 - 0.06 * Math.abs(lightFrom), 0.85 - 0.06 * Math.abs(lightFrom), 0.84 - 0.06 * Math.abs(lightFrom)),
    from * w,
    -h * 0.6,
    -from * w * 0.9,
    h * 0.9,
  );
  const d = svg`M0,${-h} C${w * 0.7},${-h} ${w},${-h * 0.66} ${w},${-h * 0.05} ${jawPath(head)} C${-w},${-h * 0.66} ${-w * 0.7},${-h} 0,${-h}Z`;
  pen.path(d, skin, { shade });
  const cheek = luma(skin) > 0.42 ? 0xf0566b : 0xb0402f;
  const blush = 0.2 + 0.17 * person.numbers.blush;
  for (const side of [-1, 1])
    pen.ellipse(side * w * 0.58 + shift, eyes.y + 10.2, 4.6, 3.1, cheek, { opacity: blush, outline: false });
  if (person.freckles) drawFreckles(pen, head);
  drawMole(pen, head, person);
}

function drawFreckles(pen: Pen, { width, skin, shift, eyes }: Head): void {
  const colour = multiply(skin, 0.68, 0.52, 0.42);
  const spots = [
    [0.33, 7.6],
    [0.48, 9.8],
    [0.62, 7.9],
    [0.36, 11.4],
    [0.7, 11.2],
  ] as const;
  for (const side of [-1, 1])
    for (const [x, y] of spots)
      pen.ellipse(side * x * width + shift, eyes.y + y, 1, 0.9, colour, { outline: false, opacity: 0.85 });
}

function drawMole(pen: Pen, { width, height, skin, shift, mouth, eyes }: Head, { mole }: DrawnPerson): void {
  const colour = mix(multiply(skin, 0.35), 0x2a1510, 0.5);
  const side = mole === "left" ? -1 : 1;
  if (mole === "chin") pen.ellipse(shift + width * 0.22, height * 0.86, 1.5, 1.5, colour, { outline: false });
  else if (mole !== "none")
    pen.ellipse(side * (mouth.width + 3.2) + shift, (mouth.y + eyes.y + 9) / 2, 1.5, 1.5, colour, { outline: false });
}

/** Draws the wrinkles of old age. */
export function drawWrinkles(pen: Pen, { width: w, skin, shift, eyes, brows, nose, mouth, height }: Head): void {
  const colour = multiply(skin, 0.66, 0.58, 0.54);
  const top = Math.min(brows.y - 4.2, -height * 0.42);
  for (const y of [top, top - 3.4])
    pen.line(svg`M${-w * 0.36 + shift},${y} Q${shift},${y - 1.4} ${w * 0.36 + shift},${y}`, colour, 1.1, 0.8);
  for (const side of [-1, 1]) {
    const x = side * eyes.spacing + shift;
    pen.line(
      svg`M${x - side * 3},${eyes.y + eyes.ry + 2} Q${x},${eyes.y + eyes.ry + 3.4} ${x + side * 3.4},${eyes.y + eyes.ry + 1.4}`,
      colour,
      1.1,
      0.8,
    );
    const [start, end] = [side * (nose.width + 1.6) + shift, side * (mouth.width + 2.6) + shift];
    pen.line(svg`M${start},${nose.tip - 0.5} Q${end},${mouth.y - 4} ${end},${mouth.y + 1.6}`, colour, 1.2, 0.8);
  }
}

export function drawNose(pen: Pen, { skin, nose, shift, eyes }: Head): void {
  const { width: w, tip } = nose;
  const [x, top] = [shift * 1.5, Math.max(eyes.y + 1, tip - nose.length)];
  const side = shift < 0 ? -1 : 1;
  const shadow = multiply(skin, 0.86, 0.78, 0.75);
  const d = svg`M${x * 0.8 - w * 0.3},${top} C${x - w * 0.4},${tip - 4} ${x - w * 1.15},${tip - 2} ${x - w},${tip + 0.6} Q${x - w * 0.5},${tip + 2.3} ${x},${tip + 1.9} Q${x + w * 0.5},${tip + 2.3} ${x + w},${tip + 0.6} C${x + w * 1.15},${tip - 2} ${x + w * 0.4},${tip - 4} ${x * 0.8 + w * 0.3},${top}Z`;
  pen.path(d, shadow, { outline: false, shade: pen.gradient(skin, shadow, 0, top, 0, tip - 0.5) });
  pen.ellipse(x + side * w * 0.1, tip - 1.3, w * 0.42, 1.4, mix(skin, 0xffffff, 0.35), { outline: false, opacity: 0.55 });
  pen.line(
    svg`M${x - w * 0.8},${tip + 1.3} Q${x},${tip + 3} ${x + w * 0.8},${tip + 1.3}`,
    multiply(skin, 0.6, 0.48, 0.44),
    1.1,
    0.85,
  );
}

export function drawMouth(pen: Pen, { skin, lips, mouth, shift }: Head, { expression, style }: Scene): void {
  const { y, width: m, lip } = mouth;
  const x = shift * 1.1;
  const outline = style === "comic" || style === "sketch";
  const dark = mix(multiply(lips, 0.45), 0x2a0d12, 0.4);
  if (expression === "smiling") {
    const w = m * 1.15;
    const d = svg`M${x - w},${y - 2} Q${x},${y + 0.6} ${x + w},${y - 2} Q${x + w * 0.72},${y + 4.6 + lip} ${x},${y + 4.8 + lip} Q${x - w * 0.72},${y + 4.6 + lip} ${x - w},${y - 2}Z`;
    pen.path(d, lips, { outline });
    const teeth = svg`M${x - w * 0.84},${y - 0.9} Q${x},${y + 1.2} ${x + w * 0.84},${y - 0.9} Q${x + w * 0.6},${y + 3.5} ${x},${y + 3.6} Q${x - w * 0.6},${y + 3.5} ${x - w * 0.84},${y - 0.9}Z`;
    pen.path(teeth, 0xffffff, { outline: false });
    return;
  }
  if (expression === "surprised") {
    pen.ellipse(x, y + 1.4, m * 0.5 + lip * 0.35, 3.6 + lip * 0.6, lips, { outline });
    pen.ellipse(x, y + 1.4, m * 0.5 - lip * 0.35, 3, dark, { outline: false });
    return;
  }
  const bend = { neutral: -0.9, sad: 2.4, angry: 1.4 }[expression]; // how far the corners hang
  const [corner, middle] = [y + bend * 0.6, y - bend * 0.7];
  const upper = svg`M${x - m},${corner} Q${x - m * 0.42},${middle - lip * 1.5} ${x},${middle - lip * 0.8} Q${x + m * 0.42},${middle - lip * 1.5} ${x + m},${corner} Q${x},${middle + lip * 2.5 + Math.max(0, -bend)} ${x - m},${corner}Z`;
  pen.path(upper, lips, { outline });
  const parting = svg`M${x - m},${corner} Q${x},${2 * middle - corner + 0.4} ${x + m},${corner}`;
  pen.line(parting, mix(multiply(skin, 0.4, 0.26, 0.26), dark, 0.5), 1.05);
}
