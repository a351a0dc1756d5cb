import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { seededRandom } from "../core/random/seeded-random.ts";
import {
  classWordAt,
  drawPerson,
  IDENTITY_CLASSES,
  IDENTITY_NUMBERS,
  identityLabels,
  identityVector,
  personAt,
  SCENE_CLASSES,
  type SceneKind,
  sceneAt,
  sceneLabels,
  sceneSvg,
} from "./index.ts";
import { BEARDS, EYE_COLOURS, HAIR_STYLES } from "./person.ts";
import { BACKGROUNDS, STYLES } from "./scene.ts";

const KINDS: readonly SceneKind[] = ["album", "free"];
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16);

test("a seed draws the same world everywhere, now and later", () => {
  const drawn = Array.from({ length: 40 }, (_, i) => {
    const scene = sceneAt(2024, i, 1, KINDS[i % 2]!);
    return sceneSvg(personAt(2024, i), scene, "picture") + sceneSvg(personAt(2024, i), scene, "idImage");
  });
  expect(sha256(drawn.join())).toMatchInlineSnapshot(`"47e8bcb03db7de62"`);
});

test("people and scenes do not depend on the order of the calls", () => {
  const places = Array.from({ length: 30 }, (_, i) => [i % 6, i % 5, KINDS[i % 2]!] as const);
  const ask = (order: typeof places) =>
    new Map(order.map((place) => [place.join(), JSON.stringify([personAt(7, place[0]), sceneAt(7, ...place)])]));
  const [forwards, backwards] = [ask(places), ask(places.toReversed())];
  for (const [place, found] of forwards) expect(backwards.get(place)).toBe(found);
  expect(new Set(forwards.values()).size).toBe(forwards.size);
});

test("identity numbers have mean 0 and deviation 1, and are uncorrelated", () => {
  const vectors = Array.from({ length: 4000 }, (_, i) => identityVector(personAt(3, i)));
  const mean = (f: (v: Float32Array) => number) => vectors.reduce((sum, v) => sum + f(v), 0) / vectors.length;
  for (let a = 0; a < IDENTITY_NUMBERS.length; a++) {
    expect(Math.abs(mean((v) => v[a]!))).toBeLessThan(0.08);
    expect(mean((v) => v[a]! ** 2)).toBeCloseTo(1, 1);
    expect(Math.abs(mean((v) => v[a]! * v[(a + 1) % v.length]!))).toBeLessThan(0.08);
  }
});

test("every value is about as frequent as its probability", () => {
  const n = 6000;
  const people = Array.from({ length: n }, (_, i) => personAt(1, i));
  const scenes = people.map((_, i) => sceneAt(1, i, 0, "free"));
  const near = (found: number, of: number, share: number) =>
    expect(Math.abs(found / of - share)).toBeLessThan(4 * Math.sqrt((share * (1 - share)) / of) + 1e-9);
  for (const gender of ["male", "female"] as const) {
    const adults = people.filter((person) => person.gender === gender && person.ageGroup !== "child");
    for (const [style, share] of Object.entries(HAIR_STYLES[gender]))
      near(adults.filter((p) => p.hairStyle === style).length, adults.length, share);
    for (const [beard, share] of Object.entries(BEARDS[gender]))
      near(adults.filter((p) => p.beard === beard).length, adults.length, share);
  }
  for (const [colour, share] of Object.entries(EYE_COLOURS)) near(people.filter((p) => p.eyeColour === colour).length, n, share);
  for (const [style, share] of Object.entries(STYLES)) near(scenes.filter((s) => s.style === style).length, n, share);
  for (const [place, share] of Object.entries(BACKGROUNDS)) near(scenes.filter((s) => s.background === place).length, n, share);
  near(scenes.filter((s, i) => s.age !== people[i]!.ageGroup).length, n, 0.15);
});

test("labels are indices into the values of their classes, and each occurs", () => {
  const seen = { identity: new Set<string>(), scene: new Set<string>() };
  for (let i = 0; i < 3000; i++) {
    const [person, scene] = [personAt(4, i), sceneAt(4, i, 0, "free")];
    for (const [name, label] of Object.entries(identityLabels(person))) seen.identity.add(`${name} ${label}`);
    for (const [name, label] of Object.entries(sceneLabels(scene))) seen.scene.add(`${name} ${label}`);
    expect(IDENTITY_CLASSES.hairStyle[identityLabels(person).hairStyle]).toBe(person.hairStyle);
    expect(IDENTITY_CLASSES.freckles[identityLabels(person).freckles]).toBe(person.freckles ? "yes" : "no");
    expect(SCENE_CLASSES.accessory[sceneLabels(scene).accessory]).toBe(scene.accessory);
  }
  const all = (classes: Readonly<Record<string, readonly string[]>>) =>
    Object.entries(classes).flatMap(([name, values]) => values.map((_, i) => `${name} ${i}`));
  expect([...seen.identity].sort()).toEqual(all(IDENTITY_CLASSES).sort());
  expect([...seen.scene].sort()).toEqual(all(SCENE_CLASSES).sort());
});

test("album pictures are plain photos at the person's own age", () => {
  for (let i = 0; i < 300; i++) {
    const [person, scene] = [personAt(5, i), sceneAt(5, i, 2, "album")];
    expect(scene).toMatchObject({ style: "photo", accessory: "none", age: person.ageGroup });
    expect(scene.framing).not.toBe("far");
  }
});

test("people of a given gender and age can be drawn; the class word follows the age shown", () => {
  const random = seededRandom(1);
  for (let i = 0; i < 50; i++) {
    const child = drawPerson(random, { gender: "female", ageGroup: "child" });
    expect(child).toMatchObject({ gender: "female", ageGroup: "child", beard: "none" });
    expect(child.hairStyle).not.toBe("bald");
    expect(classWordAt(child, { age: "child" })).toBe("girl");
    expect(classWordAt(child, { age: "old" })).toBe("woman");
  }
  expect(classWordAt(drawPerson(random, { gender: "male" }), { age: "child" })).toBe("boy");
});
