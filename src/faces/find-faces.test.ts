import { expect, test } from "vitest";
import { drawnNetworks, drawnPhoto } from "../testing/drawn-faces.ts";
import type { Box } from "./face.ts";
import { findFaces } from "./find-faces.ts";
import { type Turn, turned } from "./turn.ts";

const boxes = (faces: readonly { readonly box: Box }[]): number[][] =>
  faces.map(({ box }) => [box.left, box.top, box.right, box.bottom]).sort((a, b) => a[0]! - b[0]!);
const expectBoxes = (faces: readonly { readonly box: Box }[], expected: readonly (readonly number[])[], tolerance: number) => {
  expect(faces).toHaveLength(expected.length);
  const sorted = [...expected].sort((a, b) => a[0]! - b[0]!);
  expect(boxes(faces).flat()).toMatchGolden(sorted.flat(), tolerance);
};

test("a face of 40 pixels is found anywhere in 20 megapixels, and each face once", async () => {
  const faces = [
    { left: 700, top: 500, side: 1400, person: 0 }, // over several tiles
    { left: 3110, top: 80, side: 40, person: 1 },
    { left: 5437, top: 3611, side: 40, person: 2 }, // in the corner
    { left: 3500, top: 1500, side: 150, person: 3 },
    { left: 4030, top: 1270, side: 260, person: 4 },
  ];
  const { faces: found, turn } = await findFaces(drawnPhoto(5477, 3651, faces), drawnNetworks());
  expect(turn).toBe(0);
  expectBoxes(
    found,
    faces.map(({ left, top, side }) => [left, top, left + side, top + side]),
    12,
  ); // a pixel of the shrunk picture is up to nine
});

test("faces of every size are found once, wherever tiles meet", async () => {
  for (const side of [40, 200, 800]) {
    const places = [1, 2, 3].flatMap((i) => [1, 2].map((j) => ({ left: i * 950 - (side >> 1), top: j * 950 - (side >> 1) })));
    const faces = places.map((at, person) => ({ ...at, side, person }));
    const { faces: found } = await findFaces(drawnPhoto(3900, 2800, faces), drawnNetworks());
    expect(found, `faces of ${side} pixels`).toHaveLength(faces.length);
  }
});

test("a picture that detectors take whole is looked at once", async () => {
  const networks = drawnNetworks();
  const { faces } = await findFaces(drawnPhoto(640, 400, [{ left: 100, top: 50, side: 60, person: 0 }]), networks);
  expectBoxes(faces, [[100, 50, 160, 110]], 0);
  expect(networks.asked.detect).toBe(1);
});

test.each([90, 180, 270] as const)("a photo that lies on its side is turned by %i degrees", async (turn) => {
  const upright = drawnPhoto(900, 700, [{ left: 200, top: 100, side: 90, person: 1 }]);
  const back = ((360 - turn) % 360) as Turn;
  const found = await findFaces(turned(upright, back), drawnNetworks());
  expect(found.turn).toBe(turn);
  expect([found.picture.width, found.picture.height]).toEqual([900, 700]);
  expect(Buffer.compare(found.picture.data, upright.data)).toBe(0);
  expectBoxes(found.faces, [[200, 100, 290, 190]], 3);
});

test("faces that are found lying are set upright, if they are seen better so", async () => {
  const upright = drawnPhoto(600, 500, [{ left: 200, top: 100, side: 90, person: 1 }]);
  const lying = turned(upright, 270);
  const networks = drawnNetworks();
  // a detector that also sees faces on their side, less surely: the face's mouth is at the right of its eyes
  const detect = async (picture: typeof lying) => {
    if (picture.width === upright.width) return networks.detect(picture);
    const [eyes, mouth] = [110, 150];
    const points = [[eyes, 300], [eyes, 340], [130, 320], [mouth, 300], [mouth, 340]] as const; // biome-ignore format: a table
    return [{ box: { left: 100, top: 290, right: 190, bottom: 380 }, points, score: 0.7 }];
  };
  expect((await findFaces(lying, { detect })).turn).toBe(90);
  const sure = async (picture: typeof lying) => (picture.width === upright.width ? [] : detect(picture));
  expect((await findFaces(lying, { detect: sure })).turn).toBe(0);
});

test("where there is no face, none is found, and the picture stays as it is", async () => {
  const picture = drawnPhoto(300, 200, []);
  expect(await findFaces(picture, drawnNetworks())).toEqual({ picture, turn: 0, faces: [] });
});

test("a face that fills the picture is found with a margin around it", async () => {
  const picture = drawnPhoto(320, 300, [{ left: 0, top: 0, side: 320, person: 0 }]);
  const shy = drawnNetworks();
  const detect = async (given: typeof picture) =>
    (await shy.detect(given)).filter(({ box }) => box.right - box.left < 0.7 * given.width);
  const { faces } = await findFaces(picture, { detect });
  expectBoxes(faces, [[0, 0, 320, 320]], 3);
});

test("looking can be stopped", async () => {
  await expect(findFaces(drawnPhoto(300, 200, []), drawnNetworks(), AbortSignal.abort())).rejects.toThrow("aborted");
});
