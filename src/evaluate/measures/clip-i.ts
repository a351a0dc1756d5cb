import { cosineOf, meanCosine } from "./vectors.ts";

/**
 * CLIP-I: 100 x mean cosine of a picture's CLIP features to those of each real picture of the person. DreamBooth (arXiv 2208.12242), section 4.1.
 * @param references real pictures that were not given as ID images; of the ID images themselves it is another measure, and says how much is copied
 */
export const clipI = (picture: ArrayLike<number>, references: readonly ArrayLike<number>[]): number =>
  100 * meanCosine(picture, references);

/** PuLID's CLIP-I (arXiv 2404.16022, section 4.1): 100 x cosine to the picture of the same prompt and seed without the person. Another measure of the same name. */
export const clipIToBase = (picture: ArrayLike<number>, base: ArrayLike<number>): number => 100 * cosineOf(picture, base);
