import { seededRandom } from "../core/random/seeded-random.ts";
import { type CropMode, squareAround } from "../faces/crop.ts";
import type { Box } from "../faces/face.ts";
import { sideOf } from "../faces/geometry.ts";
import { croppedTo, noiseAround } from "../faces/id-picture.ts";
import { lookAtPhotos, otherBoxes } from "../faces/look-at-photos.ts";
import type { DrawnFaceTools } from "../faces/networks/open-drawn.node.ts";
import { decodePhoto, encodePng, type Rgb8 } from "../image/index.ts";
import { groupScenes, type Member, PORTRAIT_SCALE, personAt, renderPeople, sceneAt, smallScene } from "../minifaces/index.ts";
import { SIDE } from "./configs.ts";
import { drawnFaces, type FaceTruth } from "./faces-data.ts";
import { drawnPortraits } from "./portraits.ts";

/** Side of photos in which people are small, or several, in pixels: twice that of portraits. */
const PHOTO_SIDE = 512;
/** Side of a face in a wide photo, as a share of what it is in a portrait. */
const SMALL = 0.25;

/** A photo of drawn people, and where their faces are: the person's first. */
export interface DrawnPhoto {
  readonly picture: Rgb8;
  readonly faces: readonly FaceTruth[];
}

async function photoOf(members: readonly Member[], first: number): Promise<DrawnPhoto> {
  const faces = drawnFaces(members, PHOTO_SIDE);
  const own = faces.splice(first, 1);
  return { picture: await renderPeople(members, PHOTO_SIDE), faces: [...own, ...faces] };
}

/** Draws wide photos of one person, in which the face has a quarter of the side that it has in a portrait. */
export function widePhotos(seed: number, index: number, count: number): Promise<DrawnPhoto[]> {
  const person = personAt(seed, index);
  const scenes = Array.from({ length: count }, (_, n) => smallScene(person, seededRandom(seed, index, 2, n), "album", SMALL));
  return Promise.all(scenes.map((scene) => photoOf([{ person, scene }], 0)));
}

/** Draws a photo of a person with two others of the same seed, at a place by chance. */
export function groupPhoto(seed: number, index: number): Promise<DrawnPhoto> {
  const random = seededRandom(seed, index, 3);
  const place = random.integer(3);
  const people = [1, 2].map((n) => personAt(seed, index + n));
  people.splice(place, 0, personAt(seed, index));
  return photoOf(groupScenes(people, random, "album"), place);
}

/** Draws a person's first portrait, and where the face is in it. */
export async function portraitOf(seed: number, index: number): Promise<DrawnPhoto> {
  const [picture] = await portraitPhotos(seed, index, 1);
  const scene = { ...sceneAt(seed, index, 0, "album"), scale: PORTRAIT_SCALE, x: 50, y: 50 + 3 * PORTRAIT_SCALE };
  return { picture: picture!, faces: drawnFaces([{ person: personAt(seed, index), scene }], picture!.width) };
}

/** Draws portraits as photos. */
export const portraitPhotos = async (seed: number, index: number, count: number): Promise<Rgb8[]> =>
  Promise.all((await drawnPortraits(seed, index, count)).pngs.map((png) => decodePhoto(png)));

export interface IdPictures {
  /** What the ID encoder is to see of each photo. */
  readonly pictures: readonly Rgb8[];
  /** Box of the face that was chosen in each photo, where one was. */
  readonly chosen: readonly (Box | undefined)[];
}

/** Makes ID images of photos of a person: whose face it is that all show, and what the ID encoder is to see of it. */
export async function idPictures(
  photos: readonly Rgb8[],
  { networks, same, sides }: DrawnFaceTools,
  { crop = "auto", background = "keep" }: { readonly crop?: CropMode; readonly background?: "keep" | "noise" } = {},
): Promise<IdPictures> {
  const named = photos.map((picture, i) => ({ name: `photo ${i + 1}`, read: async () => picture }));
  const { photos: seen, chosen } = await lookAtPhotos(named, networks, { same });
  const boxes = chosen.map(({ face }, n) => (face === undefined ? undefined : seen[n]!.faces[face]!.box));
  const pictures: Rgb8[] = [];
  for (const [n, picture] of photos.entries()) {
    const box = boxes[n];
    if (box === undefined) {
      pictures.push(picture);
      continue;
    }
    const others: readonly Box[] = otherBoxes(seen[n]!.faces, chosen[n]!.face!);
    const square = squareAround(picture, box, others, crop, sides);
    const random = seededRandom(n);
    pictures.push(
      background === "keep"
        ? croppedTo(picture, square)
        : await noiseAround(picture, { face: box, others }, square, networks, { side: SIDE, random }),
    );
  }
  return { pictures, chosen: boxes };
}

/** Whether a box lies on a drawn face: their middles are less than half a side apart, and their sides alike. */
export function isOn(box: Box, face: FaceTruth): boolean {
  const [a, b] = [box, face.box].map(({ left, top, right, bottom }) => [(left + right) / 2, (top + bottom) / 2] as const);
  const ratio = sideOf(box) / sideOf(face.box);
  return Math.hypot(a![0] - b![0], a![1] - b![1]) < sideOf(face.box) / 2 && ratio > 0.6 && ratio < 1.6;
}

export const asPngs = (pictures: readonly Rgb8[]): Promise<Uint8Array<ArrayBuffer>[]> =>
  Promise.all(pictures.map(async (picture) => Uint8Array.from(await encodePng(picture))));
