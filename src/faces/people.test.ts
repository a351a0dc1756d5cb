import { expect, test } from "vitest";
import { seededRandom } from "../core/random/seeded-random.ts";
import { averageCosine, cosine, groupPeople, likeness } from "./people.ts";

/** Unit vector in the middle of some. */
function middleVector(vectors: readonly Float32Array[]): Float32Array {
  const sum = vectors[0]!.map((_, i) => vectors.reduce((total, each) => total + each[i]!, 0));
  const length = Math.hypot(...sum);
  return sum.map((value) => value / length);
}

/** Vectors of `count` pictures of a person: their cosines are about `alike`, and those of two people about 0. */
function pictures(person: number, count: number, alike: number): Float32Array[] {
  const unit = (...key: number[]): Float32Array => {
    const random = seededRandom(...key);
    return middleVector([Float32Array.from({ length: 512 }, () => random.bell(1))]);
  };
  const own = unit(1, person);
  return Array.from({ length: count }, (_, n) => {
    const other = unit(2, person, n);
    return own.map((v, i) => Math.sqrt(alike) * v + Math.sqrt(1 - alike) * other[i]!);
  });
}

test("cosines, and their averages", () => {
  expect(cosine(Float32Array.of(3, 4), Float32Array.of(4, 3))).toBeCloseTo(0.96, 6);
  expect(averageCosine(Float32Array.of(3, 4), [Float32Array.of(4, 3), Float32Array.of(-4, 3)])).toBeCloseTo(0.48, 6);
});

test("faces of an album are grouped by person, those of most photos first", () => {
  const [anna, ben, carl] = [pictures(0, 5, 0.5), pictures(1, 3, 0.5), pictures(2, 1, 0.5)];
  const faces = [
    ...anna!.map((vector, photo) => ({ photo, vector, side: 100 })),
    ...ben!.map((vector, photo) => ({ photo: photo + 1, vector, side: 90 })),
    ...carl!.map((vector) => ({ photo: 3, vector, side: 200 })),
  ];
  expect(groupPeople(faces, 0.363)).toEqual([[0, 1, 2, 3, 4], [5, 6, 7], [8]]);
  expect(groupPeople([], 0.363)).toEqual([]);
});

test("two faces of one photo are two people, however alike", () => {
  const [a, b] = pictures(0, 2, 0.9);
  expect(groupPeople([{ photo: 0, vector: a!, side: 80 }, { photo: 0, vector: b!, side: 100 }], 0.3)).toEqual([[1], [0]]); // biome-ignore format: a list
});

test("a face that is like one of a person's faces and unlike the others does not join them", () => {
  const [a, b] = pictures(0, 2, 0.5);
  const between = middleVector([a!, pictures(1, 1, 0.5)[0]!]); // 0.71 to a, 0.35 to b
  const faces = [a!, b!, between].map((vector, photo) => ({ photo, vector, side: 100 }));
  expect(groupPeople(faces, 0.6)[0]).toEqual([0, 2]);
  expect(likeness(faces[1]!, [faces[2]!], 0.6)).toBeLessThan(0.6);
});

test("small faces must be more alike", () => {
  const [a, b] = pictures(0, 2, 0.45);
  const pair = (side: number) => [{ photo: 0, vector: a!, side: 100 }, { photo: 1, vector: b!, side }]; // biome-ignore format: a list
  expect(groupPeople(pair(60), 0.4)).toHaveLength(1);
  expect(groupPeople(pair(59), 0.4)).toHaveLength(2);
});
