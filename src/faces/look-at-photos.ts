import type { FacesReport } from "../contract/faces.ts";
import type { Notice } from "../core/notice.ts";
import type { Rgb8 } from "../image/rgb8.ts";
import { type ChosenFace, chooseFaces, type FaceWish } from "./choose.ts";
import { type CropMode, squareAround } from "./crop.ts";
import { heightOf, widthOf } from "./geometry.ts";
import { type LookingNetworks, lookAt, type SeenFace, type SeenPhoto } from "./look.ts";
import { groupPeople } from "./people.ts";
import type { Turn } from "./turn.ts";

/** A photo that is read when its turn comes. */
export interface GivenPhoto {
  /** Name in messages and in the report. */
  readonly name: string;
  /** Decodes the photo, upright by its EXIF orientation. */
  read(): Promise<Rgb8>;
  readonly wish?: FaceWish | undefined;
}

/** What is kept of a photo: everything but its pixels. */
export interface LookedAt {
  readonly name: string;
  readonly width: number; // pixels, of the turned picture
  readonly height: number;
  readonly turn: Turn;
  /** Faces from left to right. */
  readonly faces: readonly (Omit<SeenFace, "vector"> & { readonly vector: Float32Array })[];
}

/** The person's photos and faces. */
export interface Looked {
  readonly photos: readonly LookedAt[];
  readonly chosen: readonly ChosenFace[];
  /** People among all faces, those of most photos first: each face as the indices of photo and face. */
  readonly people: readonly (readonly (readonly [photo: number, face: number])[])[];
  readonly notices: readonly Notice[];
}

export interface LookingOptions {
  /** Cosine from which on two faces are one person's; it belongs to the recogniser. */
  readonly same: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with each photo while its pixels are in memory, which are those of one photo at a time. */
  readonly onPhoto?: ((seen: SeenPhoto, index: number) => void | Promise<void>) | undefined;
}

/**
 * Looks at photos one after the other, compares all faces, and chooses the person's face in each.
 * @throws UserError those of decoding, face/no-such-index, face/not-at-point
 */
export async function lookAtPhotos(
  given: readonly GivenPhoto[],
  networks: LookingNetworks,
  { same, signal, onPhoto }: LookingOptions,
): Promise<Looked> {
  const photos: LookedAt[] = [];
  for (const [index, { name, read }] of given.entries()) {
    signal?.throwIfAborted();
    const seen = await lookAt(await read(), networks, signal);
    const faces = [];
    for (const face of seen.faces) faces.push({ ...face, vector: await face.vector(signal) });
    await onPhoto?.(seen, index);
    photos.push({ name, width: seen.picture.width, height: seen.picture.height, turn: seen.turn, faces });
  }
  const all = photos.flatMap(({ faces }, photo) => faces.map(({ side, vector }, face) => ({ photo, face, side, vector })));
  const people = groupPeople(all, same).map((group) => group.map((i) => [all[i]!.photo, all[i]!.face] as const));
  const { chosen, notices } = chooseFaces(
    photos.map((photo, n) => ({ ...photo, wish: given[n]!.wish })),
    same,
  );
  const turnedOnes = photos.filter(({ turn }) => turn !== 0);
  const turns = turnedOnes.map(
    ({ name, turn }): Notice => ({
      code: "face/turned",
      message: `${name} lies on its side: it is turned by ${turn} degrees clockwise, so that the faces are upright.`,
    }),
  );
  const none = photos.filter(({ faces }) => faces.length === 0).map(({ name }) => noFaceNotice(name));
  return { photos, chosen, people, notices: [...turns, ...none, ...notices] };
}

/** What is said of a photo without a face where the photo can be used whole. */
export const noFaceNotice = (name: string): Notice => ({
  code: "face/none",
  message: `No face was found in ${name}. It is used whole; a photo with a face that is seen from the front gives a better likeness.`,
});

/** What was found in photos as plain JSON, with the squares that the ID encoder would see. */
export function facesReport({ photos, chosen, people, notices }: Looked, mode: CropMode = "auto"): FacesReport {
  return {
    photos: photos.map(({ name, width, height, turn, faces }, n) => ({
      ...{ file: name, width, height, turn },
      faces: faces.map(({ box, points, score, isFace, side, warnings }, i) => ({
        box: { x: short(box.left), y: short(box.top), width: short(widthOf(box)), height: short(heightOf(box)) },
        points: points.map(([x, y]): [number, number] => [short(x), short(y)]),
        ...{ score: short(score, 4), isFace: short(isFace), side: short(side) },
        crop: squareAround({ width, height }, box, otherBoxes(faces, i), mode) ?? null,
        warnings: warnings.map(({ code, message }) => ({ code, message })),
      })),
      ...{ chosen: chosen[n]!.face ?? null, reason: chosen[n]!.reason },
      ...(chosen[n]!.likeness !== undefined && { likeness: short(chosen[n]!.likeness, 4) }),
    })),
    people: people.map((faces) => ({ faces: faces.map(([photo, face]): [number, number] => [photo, face]) })),
    notices: notices.map(({ code, message }) => ({ code, message })),
  };
}

/** Boxes of the other faces of a photo. */
export const otherBoxes = <T extends { readonly box: B }, B>(faces: readonly T[], face: number): B[] =>
  faces.filter((_, i) => i !== face).map(({ box }) => box);

const short = (value: number, digits = 2): number => Number(value.toFixed(digits));
