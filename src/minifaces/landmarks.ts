import { eyeMiddle } from "./draw/eyes.ts";
import { headOf } from "./head.ts";
import type { DrawnPerson } from "./person.ts";
import type { Scene } from "./scene.ts";

/** A position in the picture, [x, y] in units of its side, from its upper left corner. */
export type Place = readonly [number, number];

export interface Landmarks {
  /** Left and right are as seen in the picture. */
  readonly leftEye: Place;
  readonly rightEye: Place;
  readonly nose: Place;
  readonly mouthLeft: Place;
  readonly mouthRight: Place;
}

/** A box in units of the picture's side; may reach beyond the picture. */
export interface FaceBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A function from units of the head to units of the picture. */
function placing({ x, y, scale, tilt }: Scene): (u: number, v: number) => Place {
  const [cos, sin] = [Math.cos((tilt * Math.PI) / 180) * scale, Math.sin((tilt * Math.PI) / 180) * scale];
  return (u, v) => [(x + u * cos - v * sin) / 100, (y + u * sin + v * cos) / 100];
}

export function landmarks(person: DrawnPerson, scene: Scene): Landmarks {
  const head = headOf(person, scene);
  const at = placing(scene);
  const { eyes, nose, mouth, shift } = head;
  return {
    leftEye: at(eyeMiddle(head, scene, -1), eyes.y),
    rightEye: at(eyeMiddle(head, scene, 1), eyes.y),
    nose: at(shift * 1.5, nose.tip),
    mouthLeft: at(shift * 1.1 - mouth.width, mouth.y),
    mouthRight: at(shift * 1.1 + mouth.width, mouth.y),
  };
}

/** The upright box around the face from the top of the forehead to the chin, without ears and hair. */
export function faceBox(person: DrawnPerson, scene: Scene): FaceBox {
  const { width: w, height: h, chin } = headOf(person, scene);
  const at = placing(scene);
  const half = [
    [w, -h * 0.05],
    [w * 0.7, -h * 0.84],
    [chin, h * 0.95],
    [0, h],
    [0, -h],
  ] as const;
  const points = half.flatMap(([x, y]) => [at(x, y), at(-x, y)]);
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return { x: left, y: top, width: Math.max(...xs) - left, height: Math.max(...ys) - top };
}
