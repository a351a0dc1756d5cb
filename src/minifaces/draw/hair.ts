import { type Colour, luma, mix, multiply } from "../colour.ts";
import type { Head } from "../head.ts";
import { svg } from "../markup.ts";
import type { Look, Pen, Shade } from "../pen.ts";
import type { HairStyle } from "../person.ts";
import type { Scene } from "../scene.ts";

/** Measures for drawing a head's hair, in units of the head. */
interface Hair {
  readonly pen: Pen;
  readonly head: Head;
  readonly colour: Colour;
  /** Look of shapes with the style's outline, and of shapes without, which merge with others. */
  readonly look: Look;
  readonly inner: Look;
  /** Half of the face's width and height, and how far the hair stands off the head. */
  readonly w: number;
  readonly h: number;
  readonly v: number;
  /** Horizontal shift of the hair behind the head. */
  readonly back: number;
  /** Height at which hair meets the ears. */
  readonly temple: number;
  /** The side of the parting, -1 or 1. */
  readonly side: number;
  /** Whether a hat holds the hair down. */
  readonly hat: boolean;
}

/** Functions that draw the hair behind the neck, then the hair over the forehead and beside the face. */
export function createHair(pen: Pen, head: Head, scene: Scene): { drawBack(): void; drawFront(): void } {
  const { hair: colour, width: w, height: h, volume: v, parting, eyes } = head;
  const from = scene.lightFrom;
  const light = mix(colour, 0xffffff, luma(colour) < 0.25 ? 0.15 : 0.2);
  const shade: Shade = pen.gradient(light, multiply(colour, 0.78), w * from, -h * 1.3, -w * from * 0.6, h * 0.7);
  const hair: Hair = {
    pen,
    head,
    colour,
    look: { shade },
    inner: { shade, outline: false },
    w,
    h,
    v,
    back: -scene.yaw * 1.6,
    temple: eyes.y - 2,
    side: parting > 0 ? 1 : -1,
    hat: scene.accessory === "hat",
  };
  return { drawBack: () => BACK[head.hairStyle]?.(hair), drawFront: () => FRONT[head.hairStyle](hair) };
}

const BACK: Readonly<Partial<Record<HairStyle, (hair: Hair) => void>>> = {
  long: (hair) => fall(hair, hair.h + 16, 2),
  bob: (hair) => fall(hair, hair.h * 0.72, 2.6),
  wavy(hair) {
    const { pen, colour, look, w, h, v, back } = hair;
    fall(hair, h + 8, 0);
    for (const q of [-1, 1])
      for (let k = 0; k < 5; k++) {
        const [x, y] = [q * (w + v * 0.9 + (k % 2 ? 2.4 : -0.8)) + back, -3 + (k * (h + 15)) / 4.5];
        pen.ellipse(x, y, 6.2, 6.4, colour, look);
      }
  },
  ponytail({ pen, colour, look, w, h, back: x, side: q }) {
    const tail = svg`M${q * w * 0.3 + x},${-h * 0.98} C${q * (w + 17) + x},${-h * 1.35} ${q * (w + 23) + x},${h * 0.3} ${q * (w + 9) + x},${h * 1.05} C${q * (w + 9) + x},${h * 0.4} ${q * (w + 3) + x},0 ${q * w * 0.7 + x},${-h * 0.35}Z`;
    pen.path(tail, colour, look);
  },
  pigtails({ pen, colour, look, w, h, back }) {
    for (const q of [-1, 1]) {
      const x = q * (w + 7.5) + back;
      const tail = svg`M${q * w * 0.8 + back},${-h * 0.42} C${x + q * 5},${-h * 0.86} ${x + q * 11},${h * 0.25} ${x + q * 3.4},${h * 0.9} C${x},${h} ${x - q * 6},${h * 0.4} ${x - q * 4.6},${-h * 0.05}Z`;
      pen.path(tail, colour, look);
    }
  },
  bun({ pen, colour, look, h, v, back, hat }) {
    if (!hat) pen.ellipse(back, -h - v * 0.7 - 3.4, 9.4, 8.4, colour, look);
  },
  afro({ pen, colour, look, inner, w, h, v, back }) {
    const r = w + 5 + v * 1.2;
    for (let k = 0; k < 13; k++) {
      const angle = Math.PI * (1.16 - (k / 12) * 1.32);
      pen.ellipse(Math.cos(angle) * r + back, -5 - Math.sin(angle) * (h + v * 0.9), 8 + v * 0.4, 8 + v * 0.4, colour, look);
    }
    pen.ellipse(back, -7, w + 7, h, colour, inner);
  },
  curly({ pen, colour, look, w, h, back }) {
    for (const q of [-1, 1]) for (const y of [-h * 0.4, -h * 0.05]) pen.ellipse(q * (w + 0.6) + back, y, 5, 5.4, colour, look);
  },
};

const FRONT: Readonly<Record<HairStyle, (hair: Hair) => void>> = {
  bald({ pen, head, colour, look, w, h, temple }) {
    if (head.age !== "old") return;
    for (const q of [-1, 1]) {
      const tuft = svg`M${q * w},${temple + 6} Q${q * (w + 4.8)},${temple - 2} ${q * w * 0.94},${-h * 0.52} Q${q * w * 0.78},${temple - 4} ${q * w * 0.89},${temple + 5}Z`;
      pen.path(tuft, colour, look);
    }
  },
  buzz({ pen, head, colour, look, w, h, temple }) {
    const [o, line, low] = [w + 0.7, head.hairline + 2, temple - 2];
    const top = (-h - 1.2 - 0.25 * low) / 0.75;
    const d = svg`M${-o},${low} C${-o},${top} ${o},${top} ${o},${low} L${w * 0.9},${low} L${w * 0.85},${line + 5} Q${w * 0.8},${line} ${w * 0.52},${line} H${-w * 0.52} Q${-w * 0.8},${line} ${-w * 0.85},${line + 5} L${-w * 0.9},${low}Z`;
    pen.path(d, colour, look);
  },
  parted({ pen, head, colour, look, w, h, v, temple, side, hat }) {
    const [o, line, rise] = [w + v * 0.5, head.hairline, hat ? 0 : v + 3.4];
    const x = (u: number) => side * u;
    const d = svg`M${x(-o)},${temple} C${x(-o - 2)},${-h * 0.85} ${x(-w * 0.8)},${-h - v * 0.8} ${x(-w * 0.36)},${-h - v * 0.8} C${x(w * 0.1)},${-h - v - rise * 1.5} ${x(o + 6)},${-h - rise} ${x(o + 1.6)},${-h * 0.42} Q${x(o + 0.8)},${-h * 0.2} ${x(o)},${temple} L${x(w * 0.92)},${temple} L${x(w * 0.86)},${line + 4} Q${x(w * 0.1)},${line + 4} ${x(-w * 0.44)},${line - 5} Q${x(-w * 0.84)},${line} ${x(-w * 0.92)},${temple}Z`;
    pen.path(d, colour, look);
  },
  spiky(hair) {
    const { pen, head, colour, look, w, h, v, temple, hat } = hair;
    if (hat) return swept(hair);
    const [o, line, count] = [w + v * 0.5, head.hairline, 6];
    const arc = (x: number) => Math.sqrt(Math.max(0, 1 - x * x));
    let d = svg`M${-o},${temple} L${-o - 1.6},${-h * 0.62} `;
    for (let k = 0; k < count; k++) {
      const [tip, dip] = [-1 + (2 * (k + 0.5)) / count, -1 + (2 * (k + 1)) / count];
      d += svg`L${tip * (w + 5)},${-h * (0.48 + 0.52 * arc(tip)) - v - 7} `;
      if (k < count - 1) d += svg`L${dip * w},${-h * (0.5 + 0.5 * arc(dip)) - v * 0.2} `;
    }
    d += svg`L${o + 1.6},${-h * 0.62} L${o},${temple} L${w * 0.92},${temple} L${w * 0.82},${line + 1} L${w * 0.42},${line - 3} L${w * 0.06},${line + 2} L${-w * 0.4},${line - 3} L${-w * 0.82},${line + 1} L${-w * 0.92},${temple}Z`;
    pen.path(d, colour, look);
  },
  curly({ pen, head, colour, look, inner, w, h, v, hat }) {
    for (let k = 0; k < 9; k++) {
      const angle = Math.PI * (1 - k / 8);
      const [x, y] = [Math.cos(angle) * (w - 0.5), -h * 0.34 - Math.sin(angle) * (h * 0.62 + (hat ? -4 : v * 0.7))];
      pen.ellipse(x, y, 5.6 + v * 0.3, 5.4 + v * 0.3, colour, look);
    }
    for (let k = 0; k < 5; k++) pen.ellipse((-0.68 + 0.34 * k) * w, head.hairline - 1 + (k % 2) * 1.2, 5.2, 4.6, colour, inner);
    pen.ellipse(0, -h * 0.86, w * 0.82, h * 0.22 + (hat ? 0 : v * 0.7), colour, inner);
  },
  mohawk({ pen, colour, look, h, v, hat }) {
    if (hat) return;
    const d = svg`M-6,${-h * 0.58} Q-9.4,${-h - 4} -8.4,${-h - 7 - v * 1.6} L-3.4,${-h - 5 - v} L0,${-h - 11 - v * 1.8} L3.4,${-h - 5 - v} L8.4,${-h - 7 - v * 1.6} Q9.4,${-h - 4} 6,${-h * 0.58} Q0,${-h * 0.5} -6,${-h * 0.58}Z`;
    pen.path(d, colour, look);
  },
  bob(hair) {
    fringe(hair);
    locks(hair, hair.h * 0.72, 0.86);
  },
  pigtails(hair) {
    const { pen, w, h } = hair;
    fringe(hair);
    for (const q of [-1, 1]) pen.ellipse(q * (w + 1.6), -h * 0.24, 2.8, 4, 0xf2637e, { turn: q * 18 });
  },
  long(hair) {
    const { pen, head, colour, look, w, h, temple } = hair;
    const x = parting(hair);
    pen.path(
      svg`${cap(hair)} Q${w * 0.94},${-h * 0.52} ${x},${head.hairline - 6} Q${-w * 0.94},${-h * 0.52} ${-w * 0.92},${temple}Z`,
      colour,
      look,
    );
    locks(hair, h + 17, 0.9);
  },
  wavy(hair) {
    swept(hair);
    locks(hair, hair.h * 0.7, 0.9);
  },
  ponytail: (hair) => swept(hair),
  bun: (hair) => swept(hair),
  afro: (hair) => swept(hair),
};

/** Draws hair that falls from the crown to `low` behind the face. */
function fall({ pen, colour, look, w, h, v, back: x }: Hair, low: number, flare: number): void {
  const [a, top] = [w + v * 0.9, -h - v * 1.7 - 5];
  const d = svg`M${x - a},-6 C${x - a},${top} ${x + a},${top} ${x + a},-6 L${x + a + flare},${low - 4} Q${x + a + flare},${low} ${x + a + flare - 5},${low} H${x - a - flare + 5} Q${x - a - flare},${low} ${x - a - flare},${low - 4}Z`;
  pen.path(d, multiply(colour, 0.82), look);
}

/** The first part of a path: from the left temple over the crown to the right one. */
function cap({ w, h, v, temple }: Hair): string {
  const [o, control] = [w + v * 0.5, (-h - v - 0.25 * temple) / 0.75]; // the curve rises `v` over the head
  return svg`M${-o},${temple} C${-o - v * 0.5},${control} ${o + v * 0.5},${control} ${o},${temple} L${w * 0.92},${temple}`;
}

const parting = ({ head, w }: Hair): number => head.parting * w * 0.8 + head.shift * 0.4;

/** Draws hair combed to both sides of the parting. */
function swept(hair: Hair): void {
  const { pen, head, colour, look, w, temple } = hair;
  const line = head.hairline;
  pen.path(
    svg`${cap(hair)} Q${w * 0.9},${line + 1} ${parting(hair)},${line} Q${-w * 0.9},${line + 1} ${-w * 0.92},${temple}Z`,
    colour,
    look,
  );
}

/** Draws a fringe cut straight over the brows. */
function fringe(hair: Hair): void {
  const { pen, head, colour, look, w, h, temple } = hair;
  const y = Math.min(head.hairline + h * 0.16, head.eyes.y - head.eyes.ry - 2.4);
  pen.path(svg`${cap(hair)} L${w * 0.88},${y} Q0,${y + 2.4} ${-w * 0.88},${y} L${-w * 0.92},${temple}Z`, colour, look);
}

/** Draws hair that hangs in front of the ears, down to `low`; `inner` is its inner edge, as a share of the face's width. */
function locks({ pen, head, colour, inner: look, w, v }: Hair, low: number, inner: number): void {
  const [top, out] = [head.eyes.y - 9, w + v * 0.5];
  for (const q of [-1, 1]) {
    const d = svg`M${q * w * inner},${top} Q${q * w * (inner + 0.02)},${low * 0.5} ${q * w * (inner + 0.04)},${low - 3} Q${q * out},${low + 2} ${q * (out + 1.6)},${low - 4} Q${q * (out + 1)},${low * 0.3} ${q * out},${top}Z`;
    pen.path(d, colour, look);
  }
}
