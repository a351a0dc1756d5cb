import { meanCosine } from "./vectors.ts";

/**
 * Face Sim: mean cosine of the vector of a picture's largest face to those of the person's real faces. PhotoMaker (arXiv 2312.04461), section 5.1. The network must not be the
 * one that the adapter is fed with.
 * @param face vector of the largest face, never of the likest; null if the picture has none
 * @param references real faces of pictures that were not given as ID images
 * @returns null without a face: left out and counted, or counted as 0 (`personTable`'s `missing`), by which figures are compared
 */
export const faceSim = (face: ArrayLike<number> | null, references: readonly ArrayLike<number>[]): number | null =>
  face === null ? null : meanCosine(face, references);
