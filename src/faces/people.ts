/** A face of a photo, for comparison with those of other photos. */
export interface ComparedFace {
  /** Number of its photo: two faces of one photo are two people. */
  readonly photo: number;
  /** Longer side of its box, in pixels. */
  readonly side: number;
  /** Unit vector of the recogniser. */
  readonly vector: Float32Array;
}

/** Vectors of smaller faces are not to be relied on: among faces of 30 to 60 pixels strangers reached a cosine of 0.50 where others stay below 0.37. */
const LEAST_RELIABLE = 60; // pixels
/** How much more alike small faces must be, as a share of the way from `same` to 1. */
const DOUBT = 0.15;

type Compared = Pick<ComparedFace, "side" | "vector">;

/**
 * Average cosine of a face to those of a person, less a doubt where a face is small.
 * @param same cosine from which on two faces are one person's
 */
export function likeness(face: Compared, person: readonly Compared[], same: number): number {
  const doubt = (other: Compared): number => (Math.min(face.side, other.side) < LEAST_RELIABLE ? DOUBT * (1 - same) : 0);
  return person.reduce((sum, each) => sum + cosine(face.vector, each.vector) - doubt(each), 0) / person.length;
}

/** Cosine of two vectors. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, ofA, ofB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    ofA += a[i]! * a[i]!;
    ofB += b[i]! * b[i]!;
  }
  return dot / Math.sqrt(ofA * ofB || 1);
}

/** Average cosine of a face to several. */
export const averageCosine = (vector: Float32Array, others: readonly Float32Array[]): number =>
  others.reduce((sum, other) => sum + cosine(vector, other), 0) / others.length;

/**
 * Groups faces by person. The two groups whose faces are most alike on average are joined, as long as that average is at least `same` and they share no
 * photo. An average holds what chains of single likenesses would let slip: that a face is like one of a group and unlike the others.
 *
 * @param same cosine from which on two faces are one person's
 * @returns indices of the faces: people of most photos first, then those with larger faces; within a person by photo
 */
export function groupPeople(faces: readonly ComparedFace[], same: number): number[][] {
  const groups = faces.map((_, i): number[] | undefined => [i]);
  const alike = faces.map((a, i) =>
    Float32Array.from(faces, (b, j) => (i === j || a.photo === b.photo ? Number.NEGATIVE_INFINITY : likeness(a, [b], same))),
  );
  const nearest = alike.map(largestIndex);
  for (;;) {
    const i = groups.reduce<number | undefined>(
      (best, group, at) =>
        group && (best === undefined || alike[at]![nearest[at]!]! > alike[best]![nearest[best]!]!) ? at : best,
      undefined,
    );
    if (i === undefined) break;
    const j = nearest[i]!;
    if (!(alike[i]![j]! >= same)) break;
    const [m, n] = [groups[i]!.length, groups[j]!.length];
    for (let k = 0; k < faces.length; k++) {
      const joined = k === i ? Number.NEGATIVE_INFINITY : (m * alike[i]![k]! + n * alike[j]![k]!) / (m + n);
      alike[i]![k] = joined;
      alike[k]![i] = joined;
    }
    groups[i] = [...groups[i]!, ...groups[j]!];
    groups[j] = undefined;
    alike[j]!.fill(Number.NEGATIVE_INFINITY);
    for (const row of alike) row[j] = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < faces.length; k++)
      if (groups[k] && (k === i || nearest[k] === i || nearest[k] === j || alike[k]![i]! > alike[k]![nearest[k]!]!))
        nearest[k] = largestIndex(alike[k]!);
  }
  const size = (group: readonly number[]): number => group.reduce((sum, i) => sum + faces[i]!.side, 0) / group.length;
  return groups
    .filter((group) => group !== undefined)
    .map((group) => group.sort((a, b) => faces[a]!.photo - faces[b]!.photo || a - b))
    .sort((a, b) => b.length - a.length || size(b) - size(a) || a[0]! - b[0]!);
}

function largestIndex(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
