import type { Random } from "../core/random/seeded-random.ts";
import { type Rgb8, rgb8 } from "./rgb8.ts";

/**
 * Replaces what is not the person by random noise, as in PhotoMaker's training (arXiv 2312.04461, section 4). Each value of each pixel draws its own
 * noise, whether it is seen or not, so that the noise does not depend on the mask.
 * @param alpha share of the person in each value of the picture, [height, width, 3], 0 to 255
 */
export function noiseBackground(picture: Rgb8, alpha: ArrayLike<number>, random: Random): Rgb8 {
  const data = picture.data.map((v, i) => {
    const a = alpha[i]! / 255;
    return Math.round(a * v + (1 - a) * random.integer(256));
  });
  return rgb8(picture.width, picture.height, data);
}
