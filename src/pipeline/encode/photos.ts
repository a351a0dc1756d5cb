import type { GenerateRequest } from "../../contract/request.ts";
import { clipPreprocess, decodePhoto, type Rgb8 } from "../../image/index.ts";

/** A photo of a person, upright. Pixels for the ID encoder are made of it last, so that faces can be looked for before. */
export interface OpenPhoto {
  /** The photo as a person sees it: turned as its EXIF says, without transparency. */
  readonly upright: Rgb8;
}

/** Pixels, in height and width. The smallest faces that face recognition is judged by have about as many. */
const LEAST_PHOTO = 32;

/** @throws UserError those of decodePhoto, photo/too-small among them */
export const openPhoto = async (photo: GenerateRequest["inputIdImages"][number]): Promise<OpenPhoto> => ({
  upright: await decodePhoto(photo, { minSide: LEAST_PHOTO }),
});

/**
 * What the ID encoder sees of a photo: the whole of it, as in the official code.
 * @param side of CLIP's input, in pixels
 * @returns [3, side, side]
 */
export const idPixels = ({ upright }: OpenPhoto, side: number): Promise<Float32Array> => clipPreprocess(upright, side);
