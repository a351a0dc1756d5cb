import { cosineOf } from "./vectors.ts";

/** Mean direction of several vectors, as a person's centre. @throws RangeError if there are none */
export function centreDirection(vectors: readonly ArrayLike<number>[]): Float64Array {
  if (vectors.length === 0) throw new RangeError("nothing has a centre");
  const sum = new Float64Array(vectors[0]!.length);
  for (const vector of vectors) {
    const size = Math.hypot(...Array.from(vector));
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + vector[i]! / size;
  }
  return sum;
}

/**
 * Rank 1: 1 if the person is the nearest of all, else 0; a tie with another person counts as 0.
 * @param face vector of the largest face; null if the picture has none, which is 0
 * @param centres of all people
 */
export function rank1(face: ArrayLike<number> | null, person: number, centres: readonly ArrayLike<number>[]): 0 | 1 {
  if (face === null) return 0;
  const own = cosineOf(face, centres[person]!);
  return centres.every((centre, other) => other === person || cosineOf(face, centre) < own) ? 1 : 0;
}

/** Likeness as a share of the way from pictures without an adapter (0) to other real pictures of the person (1); NaN if both ends are one. */
export const shareOfWay = (ours: number, without: number, real: number): number =>
  real === without ? Number.NaN : (ours - without) / (real - without);

/**
 * Copying, from -1 to 1: how much nearer a face is to the given photo than to another real one. The angle to the truth less the angle to the reference, over the angle
 * between these two: WithAnyone (arXiv 2510.14975), section 4. 0 where the two are one.
 */
export function copying(face: ArrayLike<number>, truth: ArrayLike<number>, reference: ArrayLike<number>): number {
  const angle = (a: ArrayLike<number>, b: ArrayLike<number>): number => Math.acos(cosineOf(a, b));
  const between = angle(truth, reference);
  return between < 1e-6 ? 0 : (angle(face, truth) - angle(face, reference)) / between;
}
