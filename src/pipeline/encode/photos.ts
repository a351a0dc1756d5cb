import type { GenerateRequest } from "../../contract/request.ts";
import { clipPreprocess, type Rgb8, readPhoto } from "../../image/index.ts";

/** A decoded, upright photo of a person. It is resized for the ID encoder only at the end, so that faces can be detected before. */
export interface OpenPhoto {
  /** Pixels of the photo, rotated by its EXIF orientation, without transparency. */
  readonly upright: Rgb8;
}

/** Smallest height and width of a photo, in pixels: about the size of the smallest faces in benchmarks of face recognition. */
const LEAST_PHOTO = 32;

/** @throws UserError those of readPhoto, photo/too-small among them */
export const openPhoto = async (photo: GenerateRequest["inputIdImages"][number]): Promise<OpenPhoto> => ({
  upright: await readPhoto(photo, { minSide: LEAST_PHOTO }),
});

/**
 * Input of the ID encoder for a photo: the whole photo, as in the official code.
 * @param side side of CLIP's input, in pixels
 * @returns [3, side, side]
 */
export const idPixels = ({ upright }: OpenPhoto, side: number): Promise<Float32Array> => clipPreprocess(upright, side);
