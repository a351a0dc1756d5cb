import { FACE_MESH_SIDE } from "../../models/faces/face-mesh.ts";
import type { Similarity } from "../align.ts";
import type { Detection, FaceMesh, FivePoints, Point } from "../face.ts";
import { centreOf, sideOf } from "../geometry.ts";
import { backwards } from "./take.ts";

/** Where FaceMesh looks: a square around a face, turned with it. */
export interface MeshView {
  readonly centre: Point;
  /** Side of the face in pixels. */
  readonly side: number;
  /** By which the head is turned clockwise, in radians. */
  readonly angle: number;
}

/** Side of what FaceMesh sees, in sides of the face: MediaPipe's. */
const AROUND = 1.5;
/** Angle from which on a view is turned and looked at again: detectors see less of a turn than there is. */
const TURN_AGAIN = (5 * Math.PI) / 180;
/** Corners of the eyes among the landmarks: the outer and inner one of each. */
const LEFT_EYE = [33, 133] as const;
const RIGHT_EYE = [362, 263] as const;

const angleOf = (left: Point, right: Point): number => Math.atan2(right[1] - left[1], right[0] - left[0]);

export const viewOfFace = ({ box, points: [left, right] }: Detection): MeshView => ({
  centre: centreOf(box),
  side: sideOf(box),
  angle: angleOf(left, right),
});

/** The view of a face whose box is not known: means over 18 portraits of how the detector's box lies to its points. */
export function viewOfPoints(points: FivePoints): MeshView {
  const [left, right, , mouthLeft, mouthRight] = points;
  const middle = (a: Point, b: Point): Point => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const [eyes, mouth] = [middle(left, right), middle(mouthLeft, mouthRight)];
  const side = 2.83 * Math.hypot(mouth[0] - eyes[0], mouth[1] - eyes[1]);
  const angle = angleOf(left, right);
  const above = 0.05 * side;
  const [x, y] = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis]!, 0) / 5) as [number, number];
  return { centre: [x + above * Math.sin(angle), y - above * Math.cos(angle)], side, angle };
}

/** Moves a face into FaceMesh's picture: upright, in the middle. */
export function meshTransform({ centre: [x, y], side, angle }: MeshView): Similarity {
  const scale = FACE_MESH_SIDE / (AROUND * side);
  const [a, b] = [Math.cos(angle) * scale, -Math.sin(angle) * scale];
  const middle = FACE_MESH_SIDE / 2;
  return { a, b, dx: middle - (a * x - b * y), dy: middle - (b * x + a * y) };
}

/**
 * Landmarks in pixels of the picture.
 * @param points [468 · 3] in pixels of FaceMesh's picture
 * @param transform moved the picture there
 */
export function meshOf(points: ArrayLike<number>, flag: number, transform: Similarity): FaceMesh {
  const scale = Math.hypot(transform.a, transform.b);
  const place = (i: number): readonly [number, number, number] => {
    const [x, y] = backwards(transform, points[i * 3]!, points[i * 3 + 1]!);
    return [x, y, points[i * 3 + 2]! / scale];
  };
  return { points: Array.from({ length: points.length / 3 }, (_, i) => place(i)), isFace: flag };
}

/** The view turned as the landmarks show the head, or undefined where it is turned so already. */
export function turnedView({ points }: FaceMesh, view: MeshView): MeshView | undefined {
  const eye = ([a, b]: readonly [number, number]): Point => [
    (points[a]![0] + points[b]![0]) / 2,
    (points[a]![1] + points[b]![1]) / 2,
  ];
  const angle = angleOf(eye(LEFT_EYE), eye(RIGHT_EYE));
  const off = Math.atan2(Math.sin(angle - view.angle), Math.cos(angle - view.angle));
  return Math.abs(off) < TURN_AGAIN ? undefined : { ...view, angle };
}
