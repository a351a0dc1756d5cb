import { expect, test } from "vitest";
import { seededRandom } from "../core/random/seeded-random.ts";
import {
  faceBox,
  groupScenes,
  landmarks,
  PORTRAIT_SCALE,
  personAt,
  renderPeople,
  renderPicture,
  sceneAt,
  smallScene,
} from "./index.ts";

const inside = (value: number): boolean => value > 0 && value < 1;

test("a small person stands in the picture, with a face of the share of a portrait's that was asked for", () => {
  for (let i = 0; i < 50; i++) {
    const person = personAt(2, i);
    const scene = smallScene(person, seededRandom(2, i), "album", 0.25);
    const large = faceBox(person, { ...scene, scale: PORTRAIT_SCALE, x: 50, y: 54 });
    const { x, y, width, height } = faceBox(person, scene);
    expect(height / large.height).toBeCloseTo(0.25, 5);
    for (const edge of [x, y, x + width, y + height]) expect(inside(edge)).toBe(true);
  }
});

test("people of a group stand side by side, and no face lies on another", () => {
  for (const count of [2, 3])
    for (let i = 0; i < 30; i++) {
      const people = Array.from({ length: count }, (_, k) => personAt(2, i + k));
      const members = groupScenes(people, seededRandom(2, i), "free");
      expect(members.map(({ person }) => person)).toEqual(people);
      const boxes = members.map(({ person, scene }) => faceBox(person, scene));
      for (const { x, y, width, height } of boxes)
        for (const edge of [x, y, x + width, y + height]) expect(inside(edge)).toBe(true);
      for (let k = 1; k < count; k++) expect(boxes[k]!.x).toBeGreaterThan(boxes[k - 1]!.x + boxes[k - 1]!.width);
    }
});

test("each of several people is drawn where the landmarks say, as if alone before the same background", async () => {
  const SIDE = 128;
  const members = groupScenes([personAt(2, 0), personAt(2, 1), personAt(2, 2)], seededRandom(2, 1), "album");
  const together = await renderPeople(members, SIDE);
  for (const { person, scene } of members) {
    const alone = (await renderPicture(person, scene, SIDE)).picture;
    const { leftEye, rightEye, nose } = landmarks(person, scene);
    for (const [u, v] of [leftEye, rightEye, nose]) {
      const at = (Math.floor(v * SIDE) * SIDE + Math.floor(u * SIDE)) * 3;
      expect([...together.data.subarray(at, at + 3)]).toEqual([...alone.data.subarray(at, at + 3)]);
    }
  }
});

test("one person alone gives the picture that is drawn of one", async () => {
  const [person, scene] = [personAt(2, 5), sceneAt(2, 5, 1, "free")];
  expect((await renderPeople([{ person, scene }], 64)).data).toEqual((await renderPicture(person, scene, 64)).picture.data);
});
