/**
 * Keeps the best of detections that overlap: each that overlaps none of the kept, better ones by more than `limit`. Equal scores keep their order.
 * @returns best first
 */
export function suppress<T extends { readonly score: number }>(
  found: readonly T[],
  overlap: (a: T, b: T) => number,
  limit: number,
): T[] {
  const kept: T[] = [];
  for (const each of [...found].sort((a, b) => b.score - a.score))
    if (kept.every((other) => overlap(other, each) <= limit)) kept.push(each);
  return kept;
}
