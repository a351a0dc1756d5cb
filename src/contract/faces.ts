import { z } from "zod";

const pixels = z.number();
const notice = z.strictObject({ code: z.string(), message: z.string() });

/** A face of a photo, in pixels of the photo after it was turned. A box may reach outside where a face is cut. */
const seenFace = z.strictObject({
  box: z.strictObject({ x: pixels, y: pixels, width: pixels, height: pixels }),
  /** Left eye, right eye, nose, left and right corner of the mouth, as seen in the picture. */
  points: z.array(z.tuple([pixels, pixels])).length(5),
  /** Certainty of the detector. */
  score: z.number().min(0).max(1),
  /** Logit of the second network that looked: above 0 is a face. */
  isFace: z.number(),
  /** Longer side of the box. */
  side: pixels,
  /** Square that the ID encoder sees by default; null where the photo stays as it is. */
  crop: z.strictObject({ x: z.int().min(0), y: z.int().min(0), size: z.int().min(1) }).nullable(),
  warnings: z.array(notice),
});

const seenPhoto = z.strictObject({
  file: z.string(),
  width: z.int().min(1),
  height: z.int().min(1),
  /** Degrees by which the photo was turned clockwise, beyond its EXIF orientation, to set its faces upright. */
  turn: z.union([z.literal(0), z.literal(90), z.literal(180), z.literal(270)]),
  /** Faces from left to right. */
  faces: z.array(seenFace),
  /** Index of the person's face among them, null where there is none; why, and its likeness to the other photos' faces. */
  chosen: z.int().min(0).nullable(),
  reason: z.enum(["asked", "only", "same-person", "largest", "none"]),
  likeness: z.number().optional(),
});

/** A person of some photos: each of its faces as [index of the photo, index of the face]. */
const seenPerson = z.strictObject({ faces: z.array(z.tuple([z.int().min(0), z.int().min(0)])).min(1) });

export const FacesReport = z.strictObject({
  photos: z.array(seenPhoto),
  /** People of most photos first. */
  people: z.array(seenPerson),
  notices: z.array(notice),
});

/** What was found in photos, as JSON. */
export type FacesReport = z.output<typeof FacesReport>;
