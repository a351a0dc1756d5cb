import { DLIB_SIDE } from "../../models/faces/dlib-resnet.ts";
import { type Similarity, similarity } from "../align.ts";
import type { FaceMesh, FivePoints, Point } from "../face.ts";

/** Share of the chip's side around the face, on each side of it. */
const PADDING = 0.25;
/**
 * dlib's five points, in shares of the face: the outer and inner corner of the right eye in the picture, those of the left one, the base of the nose.
 * @see davisking/dlib dlib/image_transforms/interpolation.h get_face_chip_details
 */
const FACE: readonly Point[] = [
  [0.8595674595992, 0.2134981538014],
  [0.6460604764104, 0.2289674387677],
  [0.1205750620789, 0.2137274526848],
  [0.3340850613712, 0.2290642403242],
  [0.4901123135679, 0.6277975316475],
];
/** The same five among FaceMesh's landmarks. */
const LANDMARKS = [263, 362, 33, 133, 2] as const;
const IN_CHIP = FACE.map(([x, y]): Point => [toChip(x), toChip(y)]);

function toChip(share: number): number {
  return ((PADDING + share) / (2 * PADDING + 1)) * DLIB_SIDE;
}

/** Places of the detector's five points in such a chip: means over 18 portraits, made symmetrical. */
const DETECTED_IN_CHIP: FivePoints = [
  [47.3, 46.5],
  [100.7, 46.5],
  [74, 77.2],
  [50.7, 101.6],
  [97.3, 101.6],
];

/** Moves a face into the chip that the recogniser takes: by its landmarks or, where these say that they saw no face, by its five points. */
export const chipTransform = ({ points, isFace }: FaceMesh, detected: FivePoints): Similarity =>
  isFace > 0
    ? similarity(
        LANDMARKS.map((i): Point => [points[i]![0], points[i]![1]]),
        IN_CHIP,
      )
    : similarity(detected, DETECTED_IN_CHIP);
