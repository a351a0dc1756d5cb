import { type DrawnPerson, faceBox, landmarks, type Place, type Scene } from "../minifaces/index.ts";
import { type DataSet, PICTURES } from "./data-set.ts";

/** Loss weight of each part of a picture, added to the background's 1. */
export interface Importance {
  readonly person: number;
  readonly face: number;
  readonly eyes: number;
}

/** Standard deviation of an eye's weight, in units of the head; a face is about 40 wide. */
const EYE_REACH = 4.5;

/**
 * Loss weights of the pixels or latent pixels of picture number `index`: {@link importanceOf}.
 * @param mask the person's share of each place, [side, side]
 */
export const importanceMap = (
  data: Pick<DataSet, "persons" | "scenes">,
  index: number,
  mask: ArrayLike<number>,
  side: number,
  importance: Importance,
): Float32Array => importanceOf(data.persons[Math.floor(index / PICTURES)]!, data.scenes[index]!, mask, side, importance);

/**
 * Loss weights of a picture's pixels or latent pixels, at mean 1: [side, side]. A face is a tenth of the picture and an eye a hundredth, but
 * they identify a person, and a uniform loss would learn them last.
 * @param mask the person's share of each place, [side, side]
 */
export function importanceOf(
  who: DrawnPerson,
  scene: Scene,
  mask: ArrayLike<number>,
  side: number,
  { person, face, eyes }: Importance,
): Float32Array {
  const box = faceBox(who, scene);
  const { leftEye, rightEye } = landmarks(who, scene);
  const reach = (EYE_REACH * scene.scale) / 100;
  const out = new Float32Array(side * side);
  let sum = 0;
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++) {
      const at = row * side + column;
      const [x, y] = [(column + 0.5) / side, (row + 0.5) / side];
      const u = (x - box.x) / box.width - 0.5;
      const v = (y - box.y) / box.height - 0.5;
      const inFace = u * u + v * v < 0.25 ? 1 : 0;
      const [left, right] = [near(leftEye, x, y, reach), near(rightEye, x, y, reach)];
      out[at] = 1 + person * mask[at]! + face * inFace + eyes * Math.max(left, right);
      sum += out[at]!;
    }
  return out.map((value) => (value * out.length) / sum);
}

/** A bell around a place, 1 at its middle. */
const near = ([ex, ey]: Place, x: number, y: number, reach: number): number =>
  Math.exp(-((x - ex) ** 2 + (y - ey) ** 2) / (2 * reach ** 2));
