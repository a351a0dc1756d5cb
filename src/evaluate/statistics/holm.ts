/**
 * Adjusts probabilities of several tests, so that the chance of one false finding among all stays at the level: Holm 1979 (Scandinavian Journal of
 * Statistics 6). @returns in the order given, at most 1
 */
export function holm(probabilities: readonly number[]): number[] {
  const order = probabilities.map((p, i) => ({ p, i })).sort((a, b) => a.p - b.p);
  const adjusted = new Array<number>(probabilities.length);
  let least = 0;
  for (const [rank, { p, i }] of order.entries()) {
    least = Math.max(least, Math.min(1, (probabilities.length - rank) * p));
    adjusted[i] = least;
  }
  return adjusted;
}
