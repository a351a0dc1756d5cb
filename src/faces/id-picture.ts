import type { Random } from "../core/random/seeded-random.ts";
import { clipCrop } from "../image/clip-preprocess.ts";
import { cutOut } from "../image/cut-out.ts";
import { noiseBackground } from "../image/noise-background.ts";
import { type Rgb8, rgb8 } from "../image/rgb8.ts";
import type { Square } from "./crop.ts";
import type { Box, FaceNetworks } from "./face.ts";
import { maskOfPerson } from "./person-mask.ts";

/** Cuts the square out of a photo; without one, the photo stays as it is. */
export const croppedTo = (picture: Rgb8, square: Square | undefined): Rgb8 =>
  square === undefined ? picture : cutOut(picture, square.x, square.y, square.size, square.size);

/** Moves a box of a photo into the `side` x `side` pixels that `clipCrop` makes of it, or of the square that is cut out of it. */
export function boxInCrop(
  box: Box,
  picture: { readonly width: number; readonly height: number },
  square: Square | undefined,
  side: number,
): Box {
  const shorter = Math.min(picture.width, picture.height);
  const { x, y, size } = square ?? { x: (picture.width - shorter) / 2, y: (picture.height - shorter) / 2, size: shorter };
  const scale = side / size;
  return {
    left: (box.left - x) * scale,
    top: (box.top - y) * scale,
    right: (box.right - x) * scale,
    bottom: (box.bottom - y) * scale,
  };
}

export interface PersonInPhoto {
  /** Box of the person's face. */
  readonly face: Box;
  /** Boxes of the other faces. */
  readonly others: readonly Box[];
}

/**
 * Makes the picture that the ID encoder sees, with noise around the person as in training: `side` x `side`, ready for `clipNormalise`. The noise is as
 * fine as the encoder's pixels; it would be grey if it were shrunk with the photo.
 */
export async function noiseAround(
  picture: Rgb8,
  { face, others }: PersonInPhoto,
  square: Square | undefined,
  networks: Pick<FaceNetworks, "personMask">,
  { side = 224, random, signal }: { readonly side?: number; readonly random: Random; readonly signal?: AbortSignal | undefined },
): Promise<Rgb8> {
  const seen = clipCrop(croppedTo(picture, square), side);
  const mask = await networks.personMask(seen, signal);
  const place = (box: Box): Box => boxInCrop(box, picture, square, side);
  const alpha = maskOfPerson(mask, seen, place(face), others.map(place));
  return noiseBackground(
    seen,
    seen.data.map((_, i) => Math.round(255 * alpha[Math.floor(i / 3)]!)),
    random,
  );
}

/** Puts a tint over what is not the person: a picture to look at. */
export function tintAround(picture: Rgb8, alpha: Float32Array): Rgb8 {
  const tint = [40, 70, 160] as const;
  const data = picture.data.map((v, i) => {
    const share = 0.6 * (1 - alpha[Math.floor(i / 3)]!);
    return Math.round((1 - share) * v + share * tint[i % 3]!);
  });
  return rgb8(picture.width, picture.height, data);
}
