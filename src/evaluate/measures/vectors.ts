/** Cosine of the angle between two features, in float64. @throws RangeError if one has no direction or is not finite */
export function cosineOf(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new TypeError(`features of ${a.length} and of ${b.length} numbers`);
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
  }
  const cosine = ab / (Math.sqrt(aa) * Math.sqrt(bb));
  if (!Number.isFinite(cosine)) throw new RangeError("a feature is 0 or holds what is no number");
  return Math.min(1, Math.max(-1, cosine));
}

/** Mean cosine of a feature to each of several. @throws RangeError if there are none */
export function meanCosine(feature: ArrayLike<number>, references: readonly ArrayLike<number>[]): number {
  if (references.length === 0) throw new RangeError("there is nothing to compare with");
  return references.reduce((sum, reference) => sum + cosineOf(feature, reference), 0) / references.length;
}
