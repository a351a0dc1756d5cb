import type { Detection } from "./face.ts";
import { areaOf, sharedBox, sideOf } from "./geometry.ts";

/** A detection of one pass over a picture or a part of it. */
export interface Sighting extends Detection {
  /** Whether the face reaches the edge of a part that is cut out of the picture: then the box may hold half a face. */
  readonly cut: boolean;
}

/** Two boxes with this intersection over union are one face: neighbours in a crowd stay below. */
const SAME_BOX = 0.4;
/** A box that holds this share of another is of the same face, such as a half face at the edge of a tile in the whole face. */
const HELD = 0.6;
/** Smaller boxes within a face's box are faces of their own: a corner of the box shows what is behind. */
const LEAST_PART = 0.4; // of the larger side

/** Whether two detections are of one face. One that is cut belongs to whatever face holds it. */
export function isSameFace(a: Sighting, b: Sighting): boolean {
  const shared = areaOf(sharedBox(a.box, b.box));
  const [large, small] = [areaOf(a.box), areaOf(b.box)].sort((x, y) => y - x) as [number, number];
  if (shared >= SAME_BOX * (large + small - shared)) return true;
  const [longer, shorter] = [sideOf(a.box), sideOf(b.box)].sort((x, y) => y - x) as [number, number];
  return shared >= HELD * small && (a.cut || b.cut || shorter >= LEAST_PART * longer);
}

/** Joins detections of several passes: each face once, whole rather than cut, then with the best score. Best score first. */
export function mergeSightings(sightings: readonly Sighting[]): Detection[] {
  const order = [...sightings].sort((a, b) => Number(a.cut) - Number(b.cut) || b.score - a.score);
  const kept: Sighting[] = [];
  for (const each of order) if (!kept.some((other) => isSameFace(each, other))) kept.push(each);
  return kept.map(({ box, points, score }) => ({ box, points, score })).sort((a, b) => b.score - a.score);
}
