import { expect, test } from "vitest";
import type { Rgb8 } from "../image/index.ts";
import { drawnNetworks, drawnPhoto } from "../testing/drawn-faces.ts";
import type { Box, Detection } from "./face.ts";
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

/** A detector that also sees faces on their side, and is as sure as given; `flag` is what the second network says of those. */
function sidewaysDetector(upright: Rgb8, score: number, flag: number) {
  const { detect, mesh } = drawnNetworks();
  const points = [[110, 300], [110, 340], [130, 320], [150, 300], [150, 340]] as const; // biome-ignore format: a list
  return {
    detect: async (picture: Rgb8) =>
      picture.width === upright.width
        ? detect(picture)
        : [{ box: { left: 100, top: 290, right: 190, bottom: 380 }, points, score }],
    mesh: async (picture: Rgb8, face: Detection) =>
      picture.width === upright.width ? mesh(picture, face) : { ...(await mesh(picture, face)), isFace: flag },
  };
}

test("faces that are found lying are set upright, if they are seen better so", async () => {
  const upright = drawnPhoto(600, 500, [{ left: 200, top: 100, side: 90, person: 1 }]);
  const lying = turned(upright, 270);
  for (const [score, flag] of [[0.7, 3], [0.9, 3], [0.9, 12]] as const) // biome-ignore format: a list
    expect((await findFaces(lying, sidewaysDetector(upright, score, flag))).turn).toBe(90);
  // nothing better in any turn: somebody lies
  const { detect, mesh } = sidewaysDetector(upright, 0.9, 3);
  const nothing = async (picture: Rgb8) => (picture.width === lying.width ? detect(picture) : []);
  expect((await findFaces(lying, { detect: nothing, mesh })).turn).toBe(0);
});

test("a box of which neither network is sure is no face; one of them is enough", async () => {
  const picture = drawnPhoto(600, 500, [{ left: 200, top: 100, side: 90, person: 1, score: 0.7 }]);
  const { detect, mesh } = drawnNetworks();
  const found = async (score: number, isFace: number) => {
    const networks = {
      detect: async (given: Rgb8) => (await detect(given)).map((face) => ({ ...face, score })),
      mesh: async (given: Rgb8, face: Detection) => ({ ...(await mesh(given, face)), isFace }),
    };
    return (await findFaces(picture, networks)).faces.length;
  };
  expect([await found(0.7, -1), await found(0.79, 0), await found(0.7, 1), await found(0.8, -1)]).toEqual([0, 0, 1, 1]);
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
  const { faces } = await findFaces(picture, { detect, mesh: shy.mesh });
  expectBoxes(faces, [[0, 0, 320, 320]], 3);
});

test("looking can be stopped", async () => {
  await expect(findFaces(drawnPhoto(300, 200, []), drawnNetworks(), AbortSignal.abort())).rejects.toThrow("aborted");
});
