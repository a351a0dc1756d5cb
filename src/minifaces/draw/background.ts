import { type Random, seededRandom } from "../../core/random/seeded-random.ts";
import { type Colour, mix, multiply } from "../colour.ts";
import { svg } from "../markup.ts";
import type { Pen } from "../pen.ts";
import type { Background, PlainColour, Scene } from "../scene.ts";

const PLAIN: Readonly<Record<PlainColour, Colour>> = {
  grey: 0xb4bac2,
  teal: 0x56b3ab,
  yellow: 0xf3d27a,
  pink: 0xf4b3c2,
  blue: 0x86b4e3,
};

/** Draws the background: large soft shapes over the whole canvas. */
export function drawBackground(pen: Pen, { background, plainColour, detail }: Scene): void {
  const random = seededRandom(detail, 1);
  if (background === "plain") {
    const colour = PLAIN[plainColour];
    cover(pen, mix(colour, 0xffffff, 0.05), pen.glow(mix(colour, 0xffffff, 0.3), multiply(colour, 0.92), 50, 40, 72));
  } else PLACES[background](pen, random);
}

const cover = (pen: Pen, colour: Colour, shade: string | undefined) =>
  pen.rect(-2, -2, 104, 104, colour, { outline: false, ...(shade !== undefined && { shade }) });

const sky = (pen: Pen, top: Colour, low: Colour, horizon: number) =>
  cover(pen, mix(top, low, 0.5), pen.gradient(top, low, 0, 0, 0, horizon));

/** Draws ground with a wavy upper edge. */
function ground(pen: Pen, y: number, wave: number, near: Colour, far: Colour): void {
  const d = svg`M-2,${y} C20,${y - wave} 36,${y - wave} 52,${y} S84,${y + wave} 102,${y - wave * 0.3} V102 H-2Z`;
  pen.path(d, near, { shade: pen.gradient(far, near, 0, y - wave, 0, 100) });
}

function cloud(pen: Pen, x: number, y: number, size: number): void {
  const look = { outline: false, opacity: 0.85 };
  pen.ellipse(x, y, size * 1.5, size * 0.62, 0xffffff, look);
  pen.ellipse(x - size * 0.3, y - size * 0.42, size * 0.7, size * 0.62, 0xffffff, look);
}

const PLACES: Readonly<Record<Exclude<Background, "plain">, (pen: Pen, random: Random) => void>> = {
  beach(pen, { uniform, chance }) {
    const [horizon, side] = [uniform(44, 52), chance(0.5) ? 1 : -1];
    sky(pen, 0x6fc3f0, 0xd8f1fa, horizon);
    pen.ellipse(50 + side * uniform(28, 40), uniform(10, 20), 7, 7, 0xfff0ad);
    pen.rect(-2, horizon, 104, 32, 0x2c93c9, { shade: pen.gradient(0x2484bf, 0x5bc0d8, 0, horizon, 0, horizon + 26) });
    ground(pen, horizon + uniform(20, 26), 3.5 * side, 0xf2d999, 0xf8e6b4);
  },
  forest(pen, { uniform, pick }) {
    sky(pen, 0xd5efd0, 0x9fd09a, 90);
    for (let i = 0; i < 6; i++) {
      const [x, tall] = [i * 20 + uniform(-5, 5), uniform(30, 48)];
      const leaves = pick([0x2f7d4a, 0x3f9156, 0x276b41]);
      pen.rect(x - 1.8, 64, 3.6, 16, 0x7a5334, { outline: false });
      const d = svg`M${x},${70 - tall} C${x + 3},${70 - tall * 0.6} ${x + 11},72 ${x + 11},72 Q${x},76 ${x - 11},72 C${x - 11},72 ${x - 3},${70 - tall * 0.6} ${x},${70 - tall}Z`;
      pen.path(d, leaves, { shade: pen.gradient(mix(leaves, 0xffffff, 0.12), leaves, x, 70 - tall, x, 72) });
    }
    ground(pen, 76, 2.5, 0x5c9a45, 0x7fb95f);
  },
  city(pen, { uniform, pick }) {
    sky(pen, 0xa9c5e2, 0xf3e4dc, 90);
    for (let x = -6; x < 100; ) {
      const [wide, tall] = [uniform(13, 21), uniform(34, 80)];
      const wall = pick([0x6e7f96, 0x8797ac, 0x5a6a82, 0x9c8e9c]);
      pen.rect(x, 100 - tall, wide, tall + 2, wall, {
        shade: pen.gradient(wall, mix(wall, 0xf3e4dc, 0.35), 0, 100 - tall, 0, 100),
      });
      for (let y = 100 - tall + 5; y < 94; y += 12)
        for (const k of [0.16, 0.56]) pen.rect(x + wide * k, y, wide * 0.28, 6, 0xffe6a3, { outline: false, opacity: 0.6 });
      x += wide + uniform(0, 1.5);
    }
  },
  snow(pen, { uniform }) {
    sky(pen, 0xa8cdee, 0xeaf4fc, 66);
    for (const middle of [14, 84, 48]) {
      const [x, tall] = [middle + uniform(-8, 8), uniform(30, 44)];
      const [base, top, cap] = [72, 72 - tall, 72 - tall * 0.62];
      const slope = tall * 0.9;
      pen.path(svg`M${x - slope},${base} L${x},${top} L${x + slope},${base}Z`, 0x8fabc9, {
        shade: pen.gradient(0x7f9dc0, 0xb9cfe4, 0, top, 0, base),
      });
      const d = svg`M${x - slope * 0.38},${cap} L${x},${top} L${x + slope * 0.38},${cap} L${x + slope * 0.14},${cap - 3} L${x},${cap + 2} L${x - slope * 0.16},${cap - 3}Z`;
      pen.path(d, 0xffffff, { outline: false });
    }
    ground(pen, 68, 3, 0xeaf2fb, 0xffffff);
  },
  desert(pen, { uniform, chance }) {
    const side = chance(0.5) ? 1 : -1;
    sky(pen, 0xf8b56a, 0xfde8bd, 62);
    pen.ellipse(50 + side * uniform(26, 38), uniform(16, 26), 8.5, 8.5, 0xfff6d8);
    ground(pen, uniform(52, 58), 6 * side, 0xd68f4c, 0xeab270);
    for (const x of [uniform(5, 16), uniform(84, 95)]) {
      const [y, green] = [uniform(50, 58), 0x4f8f55];
      pen.path(
        svg`M${x - 2.6},${y + 22} V${y - 8} a2.6,2.6 0 0 1 5.2,0 V${y + 3} h3 v-6 a2,2 0 0 1 4,0 v7 a3,3 0 0 1 -3,3 h-4 V${y + 22}Z`,
        green,
        { shade: pen.gradient(mix(green, 0xffffff, 0.2), green, x - 3, 0, x + 4, 0) },
      );
    }
    ground(pen, uniform(70, 76), -5 * side, 0xc67a3c, 0xdc9a58);
  },
  space(pen, { uniform, pick, chance }) {
    cover(pen, 0x1d1a47, pen.gradient(0x11123a, 0x44296f, 0, 0, 60, 110));
    for (let i = 0; i < 16; i++) {
      const [x, y, size] = [uniform(0, 100), uniform(0, 100), uniform(0.7, 1.3)];
      pen.ellipse(x, y, size, size, 0xfdf7e3, { outline: false });
    }
    const [x, y, size] = [50 + (chance(0.5) ? 1 : -1) * uniform(30, 40), uniform(14, 30), uniform(9, 13)];
    const planet = pick([0xe89a5c, 0xd9c7a0, 0x6fb3d9, 0xc97fb0]);
    pen.ellipse(x, y, size, size, planet, {
      shade: pen.glow(mix(planet, 0xffffff, 0.3), multiply(planet, 0.68), x - 4, y - 4, size * 1.7),
    });
  },
  library(pen, { uniform, pick }) {
    cover(pen, 0x6b452b, pen.gradient(0x5b3922, 0x7d5535, 0, 0, 0, 100));
    for (let shelf = 0; shelf < 4; shelf++) {
      const floor = 20 + shelf * 27;
      for (let x = uniform(-3, 0); x < 101; ) {
        const [wide, tall] = [uniform(6, 9.5), uniform(16, 21)];
        const cover = mix(pick([0xb5473f, 0x3f6f9f, 0x4a8a63, 0xd0a548, 0x84598f, 0xe0d3b2]), 0x6b452b, 0.3);
        pen.rect(x, floor - tall, wide - 0.7, tall, cover, { outline: false });
        x += wide;
      }
      pen.rect(-2, floor, 104, 3.6, 0x8d6039, { outline: false });
    }
  },
  field(pen, { uniform, chance }) {
    const side = chance(0.5) ? 1 : -1;
    sky(pen, 0x86c8f4, 0xe6f5fb, 62);
    cloud(pen, 50 - side * uniform(26, 38), uniform(14, 24), 9);
    cloud(pen, 50 + side * uniform(30, 42), uniform(28, 38), 7);
    ground(pen, uniform(56, 61), 6 * side, 0x8cc765, 0xb4dd83);
    ground(pen, uniform(71, 77), -5 * side, 0x62ad52, 0x8fca68);
  },
};
