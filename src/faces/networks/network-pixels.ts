import { type FloatArray, floats } from "../../core/array.ts";
import type { Rgb8 } from "../../image/rgb8.ts";

export interface NetworkPixels {
  /** Channels in the order that the network takes. */
  readonly order?: "rgb" | "bgr";
  /** (value - mean) / spread. */
  readonly mean?: number;
  readonly spread?: number;
  /** Size of the result; what the picture does not fill, below and on the right, is black. */
  readonly width?: number;
  readonly height?: number;
}

/** A picture as networks take it: [1, 3, height, width]. */
export function networkPixels(picture: Rgb8, how: NetworkPixels = {}): FloatArray {
  const { order = "rgb", mean = 0, spread = 1, width = picture.width, height = picture.height } = how;
  const area = width * height;
  const out = new Float32Array(3 * area);
  if (area > picture.width * picture.height) out.fill(-mean / spread);
  for (let channel = 0; channel < 3; channel++) {
    const from = order === "rgb" ? channel : 2 - channel;
    for (let y = 0; y < picture.height; y++) {
      let at = channel * area + y * width;
      const end = (y + 1) * picture.width * 3;
      for (let i = y * picture.width * 3 + from; i < end; i += 3) out[at++] = (picture.data[i]! - mean) / spread;
    }
  }
  return floats(out, 1, 3, height, width);
}
