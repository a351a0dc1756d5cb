import { floats } from "../../core/array.ts";
import type { Rgb8 } from "../../image/rgb8.ts";
import { contentKey, type EncodingCache } from "../../sessions/encoding-cache.ts";
import { chooseFaces, type FaceWish } from "../choose.ts";
import type { Box, Detection } from "../face.ts";
import { areaOf, centreOf, sharedBox } from "../geometry.ts";
import type { FacePack } from "./open-pack.node.ts";

export interface ToEmbed {
  /** Name of the photo in messages. */
  readonly name: string;
  /** The face that is asked for, if nothing else has looked at the photo. */
  readonly wish: FaceWish | undefined;
  /** Box of the face that was chosen by other networks. */
  readonly face: Box | undefined;
  readonly pack: Pick<FacePack, "detect" | "embed">;
  /** Keeps vectors, by the photo's pixels and the choice. */
  readonly cache: EncodingCache;
  readonly signal?: AbortSignal | undefined;
}

/** Two boxes of one face share this much of what they cover together; detectors draw them differently. */
const ONE_FACE = 0.3;

/**
 * Vector of a photo's face by a pack: of the face that was chosen, else of the one asked for, else of the largest.
 * @param picture upright
 * @returns the raw vector, or undefined if the pack's detector does not find the face
 * @throws UserError face/no-such-index, face/not-at-point, and those of the pack
 */
export async function packVector(
  picture: Rgb8,
  { name, wish, face, pack, cache, signal }: ToEmbed,
): Promise<Float32Array | undefined> {
  const choice = face === undefined ? JSON.stringify(wish ?? "largest") : JSON.stringify(face);
  const size = [picture.width, picture.height];
  const key = await contentKey("face-pack", size, new TextEncoder().encode(choice), picture.data);
  const known = cache.get(key);
  if (known !== undefined) return known.vector!.data.slice();
  const faces = await pack.detect(picture, signal);
  const found = face === undefined ? wished(faces, picture, name, wish) : sameFace(faces, face);
  if (found === undefined) return undefined;
  const vector = await pack.embed(picture, found.points, signal);
  cache.set(key, { vector: floats(vector.slice(), vector.length) });
  return vector;
}

function wished(
  faces: readonly Detection[],
  { width, height }: Rgb8,
  name: string,
  wish: FaceWish = "largest",
): Detection | undefined {
  const fromLeft = faces.toSorted((a, b) => centreOf(a.box)[0] - centreOf(b.box)[0]);
  const photo = { name, width, height, wish, faces: fromLeft.map(({ box }) => ({ box, vector: new Float32Array(1) })) };
  const { chosen } = chooseFaces([photo], 1);
  return fromLeft[chosen[0]!.face ?? -1];
}

function sameFace(faces: readonly Detection[], face: Box): Detection | undefined {
  const shares = faces.map(({ box }) => {
    const shared = sharedBox(box, face);
    const common = shared.right > shared.left && shared.bottom > shared.top ? areaOf(shared) : 0;
    return common / (areaOf(box) + areaOf(face) - common);
  });
  const best = Math.max(0, ...shares);
  return best >= ONE_FACE ? faces[shares.indexOf(best)] : undefined;
}
