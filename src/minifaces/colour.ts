/** A colour as 0xRRGGBB. */
export type Colour = number;

const channels = (c: Colour): [number, number, number] => [c >> 16, (c >> 8) & 255, c & 255];
const byte = (x: number): number => (x < 0 ? 0 : x > 255 ? 255 : Math.round(x));

export const rgb = (r: number, g: number, b: number): Colour => (byte(r) << 16) | (byte(g) << 8) | byte(b);

export const hex = (c: Colour): string => `#${(c | 0x1000000).toString(16).slice(1)}`;

/** Mixes `share` of the second colour with the rest of the first. */
export function mix(first: Colour, second: Colour, share: number): Colour {
  const [a, b] = [channels(first), channels(second)];
  const at = (i: 0 | 1 | 2) => a[i] + (b[i] - a[i]) * share;
  return rgb(at(0), at(1), at(2));
}

/** Multiplies each channel by its factor. */
export function multiply(c: Colour, r: number, g = r, b = r): Colour {
  const [x, y, z] = channels(c);
  return rgb(x * r, y * g, z * b);
}

/** Moves a colour away from the grey of its brightness, by `factor`. */
export function saturate(c: Colour, factor: number): Colour {
  const [r, g, b] = channels(c);
  const grey = (r + g + b) / 3;
  return rgb(grey + (r - grey) * factor, grey + (g - grey) * factor, grey + (b - grey) * factor);
}

/** Perceived brightness, 0 to 1 (the luma of ITU-R BT.601). */
export function luma(c: Colour): number {
  const [r, g, b] = channels(c);
  return (0.299 * r + 0.587 * g + 0.114 * b) / 255;
}

/** Colour at a position on a ramp: 0 is its first, 1 its last. */
export function ramp(colours: readonly Colour[], at: number): Colour {
  const x = Math.min(Math.max(at, 0), 1) * (colours.length - 1);
  const i = Math.min(Math.floor(x), colours.length - 2);
  return mix(colours[i]!, colours[i + 1]!, x - i);
}
