import { seededRandom } from "../core/random/seeded-random.ts";
import type { Box, FivePoints } from "../faces/face.ts";
import { type Rgb8, rgb8 } from "../image/rgb8.ts";
import {
  faceBox,
  groupScenes,
  landmarks,
  type Member,
  PORTRAIT_SCALE,
  personAt,
  renderPeople,
  type SceneKind,
  sceneAt,
  smallScene,
} from "../minifaces/index.ts";
import { TRAINING_SEED } from "./data-set.ts";

/** A face as a detector is to find it. */
export interface FaceTruth {
  readonly box: Box;
  readonly points: FivePoints;
}

export interface PictureOfFaces {
  readonly picture: Rgb8;
  readonly faces: readonly FaceTruth[];
}

/** Side of the square that a sample of training fills, in pixels. */
export const CANVAS = 256;
const SMALLEST = 64; // pixels

/** The box and the points of each face of a picture of `side` pixels. */
export const drawnFaces = (members: readonly Member[], side: number): FaceTruth[] =>
  members.map(({ person, scene }) => {
    const { x, y, width, height } = faceBox(person, scene);
    const { leftEye, rightEye, nose, mouthLeft, mouthRight } = landmarks(person, scene);
    const place = ([u, v]: readonly [number, number]) => [u * side, v * side] as const;
    return {
      box: { left: x * side, top: y * side, right: (x + width) * side, bottom: (y + height) * side },
      points: [place(leftEye), place(rightEye), place(nose), place(mouthLeft), place(mouthRight)],
    };
  });

/** Draws what a detector learns on: one picture of up to CANVAS pixels, or four of up to half of it. */
export async function canvasOfFaces(key: number): Promise<PictureOfFaces> {
  const random = seededRandom(TRAINING_SEED, key, 17);
  const half = CANVAS / 2;
  const places = random.chance(0.5)
    ? [{ left: 0, top: 0, most: CANVAS, least: half }]
    : [0, 1, 2, 3].map((i) => ({ left: (i % 2) * half, top: Math.floor(i / 2) * half, most: half, least: SMALLEST }));
  const data = new Uint8Array(CANVAS * CANVAS * 3);
  const faces: FaceTruth[] = [];
  for (const [n, { left, top, most, least }] of places.entries()) {
    const side = least + random.integer(most - least + 1);
    const members = someone(key * 4 + n, random);
    const { data: rows } = await renderPeople(members, side);
    for (let y = 0; y < side; y++) data.set(rows.subarray(y * side * 3, (y + 1) * side * 3), ((top + y) * CANVAS + left) * 3);
    const move = ([x, y]: readonly [number, number]) => [x + left, y + top] as const;
    for (const {
      box,
      points: [a, b, c, d, e],
    } of drawnFaces(members, side))
      faces.push({
        box: { left: box.left + left, top: box.top + top, right: box.right + left, bottom: box.bottom + top },
        points: [move(a), move(b), move(c), move(d), move(e)],
      });
  }
  return { picture: rgb8(CANVAS, CANVAS, data), faces };
}

/** One to three people: alone as in the miniature's pictures, as a portrait, small in a wide view, or side by side. */
function someone(key: number, random: ReturnType<typeof seededRandom>): Member[] {
  const index = random.integer(PEOPLE);
  const person = personAt(TRAINING_SEED, index);
  const kind: SceneKind = random.chance(0.5) ? "album" : "free";
  const what = random.uniform(0, 1);
  if (what < 0.25) return [{ person, scene: sceneAt(TRAINING_SEED, index, key % 8, kind) }];
  if (what < 0.4) {
    const scene = sceneAt(TRAINING_SEED, index, key % 8, kind);
    const scale = PORTRAIT_SCALE * random.uniform(0.9, 1.1);
    return [{ person, scene: { ...scene, scale, x: 50 + random.uniform(-4, 4), y: 50 + random.uniform(0, 8) } }];
  }
  if (what < 0.7) return [{ person, scene: smallScene(person, random, kind, random.uniform(0.18, 0.6)) }];
  const others = Array.from({ length: 1 + random.integer(2) }, () => personAt(TRAINING_SEED, random.integer(PEOPLE)));
  return groupScenes([person, ...others], random, kind);
}

const PEOPLE = 6000;
