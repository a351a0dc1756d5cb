/** Sums of a measurement over each person's pictures, and the number of pictures measured. */
export interface Column {
  readonly sums: Float64Array;
  readonly counts: Float64Array;
}

/** Sums a measurement of pictures by person. @param value returns undefined for a picture that has none */
export function column<T>(
  people: number,
  pictures: readonly T[],
  personOf: (picture: T, index: number) => number,
  value: (picture: T, index: number) => number | undefined,
): Column {
  const [sums, counts] = [new Float64Array(people), new Float64Array(people)];
  for (const [i, picture] of pictures.entries()) {
    const found = value(picture, i);
    if (found === undefined) continue;
    const person = personOf(picture, i);
    sums[person] = sums[person]! + found;
    counts[person] = counts[person]! + 1;
  }
  return { sums, counts };
}

/** Mean over all pictures of some people; NaN if there are none. */
export function meanOver({ sums, counts }: Column, people: ArrayLike<number>): number {
  let [sum, count] = [0, 0];
  for (let i = 0; i < people.length; i++) {
    sum += sums[people[i]!]!;
    count += counts[people[i]!]!;
  }
  return sum / count;
}

export const everyone = (people: number): Int32Array => Int32Array.from({ length: people }, (_, i) => i);
