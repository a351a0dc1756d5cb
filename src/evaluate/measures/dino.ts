import { meanCosine } from "./vectors.ts";

/**
 * DINO: 100 x mean cosine of the class token of DINO's ViT-S/16 behind the final norm to that of each real picture of the person. DreamBooth (arXiv
 * 2208.12242), section 4.1.
 * @param references real pictures that were not given as ID images
 */
export const dino = (picture: ArrayLike<number>, references: readonly ArrayLike<number>[]): number =>
  100 * meanCosine(picture, references);
