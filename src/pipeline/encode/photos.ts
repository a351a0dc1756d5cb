import type { GenerateRequest } from "../../contract/request.ts";
import { type Rgb8, readPhoto } from "../../image/index.ts";

/** A decoded, upright photo of a person, in which faces are looked for before it is resized for the ID encoder. */
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
