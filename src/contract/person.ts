import { z } from "zod";
import { numbers } from "./numbers.ts";
import { photo } from "./photo.ts";

/** A path, or numbers with a shape. */
export const fileOrNumbers = z.union([z.string().min(1), numbers]);

const share = z.number().min(0).max(1);

/** Region of a person: a box in shares of the picture's sides, or a mask that is white there. */
const region = z.union([z.strictObject({ x: share, y: share, width: share, height: share }), z.strictObject({ mask: photo })]);

/** A face of a photo: its index from the left, counted from 0, the largest, or the one at a point in shares of width and height. */
const faceWish = z.union([z.literal("largest"), z.int().min(0).max(1000), z.strictObject({ at: z.tuple([share, share]) })]);

/** Square crop of an upright photo, in pixels. */
const square = z.strictObject({ x: z.int().min(0), y: z.int().min(0), size: z.int().min(1) });

/** One human being in a request: photos or ID tokens, and how to use them. */
export const person = z.strictObject({
  /** Paths, or the bytes of picture files. */
  photos: z.array(photo).max(64).default([]),
  /** V2's face embeddings, one row of `id_embeds` [photos, 512] for each photo: a file (safetensors, .npy), or the numbers. */
  idEmbeds: fileOrNumbers.optional(),
  /** ID tokens [tokens, width] instead of photos, from `PhotoMaker.encodeIdImages`; they may be selected or mixed. */
  idTokens: numbers.optional(),
  /**
   * The person's face in each photo: its index from the left, counted from 0, the largest, or the one at a point; for all photos, or a list in their
   * order. Chosen when absent or null: the person who is in most photos, else the largest.
   */
  face: z.union([faceWish, z.array(faceWish.nullable()).max(64)]).optional(),
  /** Crop of each photo, in the order of the photos, instead of `idCrop`; null is the whole photo. */
  crop: z.array(square.nullable()).max(64).optional(),
  /** Strength of this person. */
  weight: z.number().min(-100).max(100).default(1),
  /** Trigger word of this person; the model's own (`triggerWord`) when absent. */
  trigger: z.string().regex(/^\S+$/).optional(),
  /** Region of the person in the picture; the whole picture when absent. */
  region: region.optional(),
  /** First evaluation with this person, counted from 0; determined by `startMergeStep` or `styleStrength` when absent. */
  from: z.int().min(0).max(1_000_000).optional(),
});

/** Another person whom the person of a request is mixed with. */
export const mixPart = person.pick({ photos: true, idEmbeds: true, idTokens: true, face: true, crop: true }).extend({
  /** A file that `photomaker person` wrote, instead of photos. */
  person: z.string().min(1).optional(),
  /** Share of the new person. */
  share: z.number().gt(0).lt(1).optional(),
});

/** Another person whom the person of a request is mixed with. */
export type MixPart = z.output<typeof mixPart>;

/** One human being in a request. */
export type Person = z.output<typeof person>;

/** Fields of a request that say who is drawn. */
export interface WithPeople {
  readonly people?: readonly Person[] | undefined;
  readonly inputIdImages?: Person["photos"] | undefined;
  readonly idEmbeds?: Person["idEmbeds"];
  readonly idTokens?: Person["idTokens"];
}

/** The people of a request, in order; `inputIdImages`, `idEmbeds` and `idTokens` are the short form of one person. Empty for plain SDXL. */
export function peopleOf({ people = [], inputIdImages = [], idEmbeds, idTokens }: WithPeople): readonly Person[] {
  if (people.length > 0) return people;
  if (inputIdImages.length === 0 && idEmbeds === undefined && idTokens === undefined) return [];
  return [
    {
      photos: inputIdImages,
      weight: 1,
      ...(idEmbeds !== undefined && { idEmbeds }),
      ...(idTokens !== undefined && { idTokens }),
    },
  ];
}
