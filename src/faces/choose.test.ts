import { expect, test } from "vitest";
import { chooseFaces, type PhotoToChooseFrom } from "./choose.ts";

/** Photos of 1000x500 pixels, whose faces are given as [person, side], from left to right. */
const photo = (name: string, ...faces: readonly (readonly [person: number, side: number])[]): PhotoToChooseFrom => ({
  name,
  width: 1000,
  height: 500,
  faces: faces.map(([person, side], i) => {
    const vector = new Float32Array(8);
    vector[person] = 1;
    const left = 100 + i * 200;
    return { vector, box: { left, top: 100, right: left + side, bottom: 100 + side } };
  }),
});
const choose = (...photos: readonly PhotoToChooseFrom[]) => {
  const { chosen, notices } = chooseFaces(photos, 0.363);
  return {
    faces: chosen.map(({ face }) => face),
    reasons: chosen.map(({ reason }) => reason),
    codes: notices.map(({ code }) => code),
    notices,
    chosen,
  };
};
const [me, ann, bob] = [0, 1, 2];

test("in a group photo the one who is in the others is taken, though another is larger", () => {
  const { faces, reasons, codes } = choose(
    photo("me1", [me, 90]),
    photo("me2", [me, 80]),
    photo("family", [ann, 150], [bob, 90], [me, 80]),
  );
  expect(faces).toEqual([0, 0, 2]);
  expect(reasons).toEqual(["only", "only", "same-person"]);
  expect(codes).toEqual([]);
});

test("of group photos alone, whoever is in most of them is taken", () => {
  const { faces, codes } = choose(
    photo("a", [ann, 150], [me, 80]),
    photo("b", [me, 90], [bob, 120]),
    photo("c", [ann, 99], [bob, 99], [me, 70]),
  );
  expect(faces).toEqual([1, 0, 2]);
  expect(codes).toEqual([]);
});

test("without other evidence the largest face is taken, and rivals of nearly its size are said", () => {
  expect(choose(photo("a", [ann, 60], [me, 150], [bob, 100]))).toMatchObject({ faces: [1], reasons: ["largest"], codes: [] });
  const { faces, notices } = choose(photo("a", [ann, 90], [me, 100], [bob, 70]));
  expect(faces).toEqual([1]);
  expect(notices).toEqual([{ code: "face/several-alike", message: expect.stringMatching(/2 faces.*Face 2 .*a#1/) }]);
});

test("two people who are in the same photos: the one with larger faces is taken, and that is said", () => {
  const { faces, notices } = choose(photo("a", [ann, 80], [me, 100]), photo("b", [me, 100], [ann, 90]));
  expect(faces).toEqual([1, 0]);
  expect(notices).toEqual([{ code: "face/several-people", message: expect.stringMatching(/2 people.*a#2, b#1.*a#1/) }]);
});

test("a face is asked for by index, by point or as the largest, and leads the choice in the other photos", () => {
  const group = photo("family", [ann, 150], [bob, 90], [me, 80]);
  const other = photo("friends", [me, 60], [ann, 200]);
  expect(choose({ ...group, wish: 2 }, other).faces).toEqual([2, 0]);
  expect(choose({ ...group, wish: { at: [0.32, 0.25] } }).faces).toEqual([1]);
  expect(choose({ ...group, wish: { at: [0.29, 0.18] } }).faces).toEqual([1]); // hair beside the box
  expect(choose({ ...group, wish: "largest" }, other)).toMatchObject({ faces: [0, 1], reasons: ["asked", "same-person"] });
});

test("an index or a point where there is no face is refused with what there is", () => {
  const group = photo("family", [ann, 150], [bob, 90]);
  const refusal = (code: string, text: string, remedy: string) =>
    expect.objectContaining({
      name: "UserError",
      code,
      message: expect.stringContaining(text),
      remedy: expect.stringContaining(remedy),
    });
  expect(() => choose({ ...group, wish: 2 })).toThrow(
    refusal("face/no-such-index", "no face 3 in family: it has 2 faces: 1 at 0.17,0.35, 2 at 0.34,0.29", "1 to 2"),
  );
  expect(() => choose({ ...photo("tree"), wish: 0 })).toThrow(
    refusal("face/no-such-index", "no face was found", "another photo"),
  );
  expect(() => choose({ ...group, wish: { at: [0.9, 0.9] } })).toThrow(
    refusal("face/not-at-point", "no face at 0.9,0.9 in family", "shares"),
  );
});

test("a photo of somebody else is named with its likeness, and used", () => {
  const { faces, notices, chosen } = choose(
    photo("me1", [me, 90]),
    photo("other", [bob, 90]),
    photo("me2", [me, 80]),
    photo("tree"),
  );
  expect(faces).toEqual([0, 0, 0, undefined]);
  expect(notices).toEqual([{ code: "face/unlike", message: expect.stringMatching(/one photo is unlike.*: other \(0\.00\)/) }]);
  expect(chosen.map(({ likeness }) => likeness)).toEqual([1, 0, 1, undefined]);
});

test("photos of two people are said to be that", () => {
  const { notices } = choose(
    photo("a1", [me, 90]),
    photo("b1", [bob, 80]),
    photo("a2", [me, 80]),
    photo("b2", [bob, 80]),
    photo("a3", [me, 80]),
  );
  expect(notices.map(({ code }) => code)).toEqual(["face/unlike", "face/different-people"]);
  expect(notices[1]!.message).toMatch(/one person: b1, b2 show another one than a1, a2, a3/);
  expect(choose(photo("a", [me, 90]), photo("b", [bob, 80])).codes).toEqual(["face/different-people"]);
});

test("one photo of one face needs no comparison", () => {
  expect(choose(photo("a", [me, 90]))).toMatchObject({ chosen: [{ face: 0, reason: "only" }], codes: [] });
  expect(choose(photo("tree"))).toMatchObject({ chosen: [{ face: undefined, reason: "none" }], codes: [] });
});
