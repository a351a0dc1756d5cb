import sharp from "sharp";

interface Scene {
  readonly sky: string;
  readonly ground: string;
  /** Degrees. */
  readonly tilt: number;
  readonly smile: number;
}

const SCENES: readonly Scene[] = [
  { sky: "#bfe3f2", ground: "#8fc48a", tilt: 0, smile: 5 },
  { sky: "#f6d9b8", ground: "#c98a5a", tilt: -7, smile: 3 },
  { sky: "#d9d3ee", ground: "#7f88b8", tilt: 6, smile: 8 },
];

/** One invented person in three scenes, drawn here: PNGs of 256x256. */
export const drawnPortraits = (): Promise<Uint8Array[]> =>
  Promise.all(
    SCENES.map((scene) =>
      sharp(Buffer.from(portrait(scene)))
        .png()
        .toBuffer(),
    ),
  );

const portrait = ({ sky, ground, tilt, smile }: Scene): string => `
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="256" height="256">
  <rect width="100" height="100" fill="${sky}"/><path d="M0,72 Q50,62 100,72 V100 H0Z" fill="${ground}"/>
  <g transform="translate(50 47) rotate(${tilt})">
    <path d="M-24,-8 C-26,-44 26,-44 24,-8 L27,26 Q0,34 -27,26Z" fill="#4a2c20"/>
    <path d="M-40,60 Q-38,34 -9,31 L0,38 L9,31 Q38,34 40,60Z" fill="#2f8f83"/>
    <path d="M-7,20 V32 L0,38 L7,32 V20Z" fill="#c78a62"/>
    <path d="M0,-27 C15,-27 20,-16 20,-2 C20,14 9,26 0,26 C-9,26 -20,14 -20,-2 C-20,-16 -15,-27 0,-27Z" fill="#dca078"/>
    <path d="M-21,-2 C-24,-40 24,-40 21,-2 C17,-15 8,-19 -4,-21 C-12,-18 -18,-12 -21,-2Z" fill="#5d3a29"/>
    <g fill="#fff"><ellipse cx="-8" cy="-1" rx="4.2" ry="2.9"/><ellipse cx="8" cy="-1" rx="4.2" ry="2.9"/></g>
    <g fill="#2d5f45"><circle cx="-8" cy="-1" r="2.3"/><circle cx="8" cy="-1" r="2.3"/></g>
    <g fill="none" stroke="#4a2c20" stroke-width="1.6" stroke-linecap="round">
      <path d="M-13,-7 Q-8,-10 -4,-7.5"/><path d="M4,-7.5 Q8,-10 13,-7"/>
    </g>
    <path d="M0,1 Q-3.5,8 0,8.5" fill="none" stroke="#b5764f" stroke-width="1.3" stroke-linecap="round"/>
    <path d="M-7,15 Q0,${15 + smile} 7,15 Q0,${12.5 + smile / 4} -7,15Z" fill="#b0453f"/>
    <g fill="#c96f55" opacity=".35"><ellipse cx="-12" cy="8" rx="4" ry="2.5"/><ellipse cx="12" cy="8" rx="4" ry="2.5"/></g>
  </g>
</svg>`;
