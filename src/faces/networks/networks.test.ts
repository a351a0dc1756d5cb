import { afterAll, expect, test } from "vitest";
import { type Rgb8, rgb8 } from "../../image/rgb8.ts";
import { goldenTensors } from "../../testing/tensors.ts";
import { similarity, warp } from "../align.ts";
import type { Detection } from "../face.ts";
import { sideOf } from "../geometry.ts";
import { openFaceNetworks } from "./open-networks.node.ts";
import { SAME_PERSON } from "./recogniser.ts";
import { stretch } from "./stretch.ts";
import { backwards, takeSquare } from "./take.ts";
import { yunetFaces } from "./yunet-faces.ts";

const networks = openFaceNetworks({ threads: 1 });
afterAll(() => networks.unload());

/** A portrait of 320 x 320 pixels. */
async function portrait(): Promise<Rgb8> {
  const golden = await goldenTensors("faces", "networks", "yunet.safetensors");
  return rgb8(320, 320, Uint8Array.from(await golden.integers("input")));
}

/** A grey picture with a smaller one in it. */
function within(picture: Rgb8, width: number, height: number, left: number, top: number): Rgb8 {
  const out = new Uint8Array(width * height * 3).fill(90);
  for (let y = 0; y < picture.height; y++)
    out.set(picture.data.subarray(y * picture.width * 3, (y + 1) * picture.width * 3), ((top + y) * width + left) * 3);
  return rgb8(width, height, out);
}

const onlyFace = async (picture: Rgb8): Promise<Detection> => {
  const faces = await networks.detect(picture);
  expect(faces).toHaveLength(1);
  return faces[0]!;
};

test("a portrait has one face, with its points where they are seen", async () => {
  const { box, points, score } = await onlyFace(await portrait());
  expect(score).toBeGreaterThan(0.85);
  const seen = [
    [101, 130],
    [173, 134],
    [133, 165],
    [104, 197],
    [160, 201],
  ]; // measured by eye
  for (const [i, [x, y]] of points.entries()) expect(Math.hypot(x - seen[i]![0]!, y - seen[i]![1]!)).toBeLessThan(10);
  expect(box.left).toBeGreaterThan(50);
  expect(box.right).toBeLessThan(230);
  expect(box.bottom).toBeLessThan(270);
});

test("faces are those that the golden output has, so that the picture is given as the detector takes it", async () => {
  const golden = await goldenTensors("faces", "networks", "yunet.safetensors");
  const output: Record<string, { data: Float32Array }> = {};
  for (const name of golden.names()) if (name !== "input") output[name] = await golden.floats(name);
  const [expected] = yunetFaces(output as unknown as Parameters<typeof yunetFaces>[0], 320, { threshold: 0.6, overlap: 0.3 });
  const { box, points, score } = await onlyFace(await portrait());
  const numbers = (face: Detection): number[] => [...Object.values(face.box), ...face.points.flat()];
  expect(numbers({ box, points, score })).toMatchGolden(numbers(expected!), 0.05);
  expect(score).toBeCloseTo(expected!.score, 3);
});

test("a face is found at the same place in a picture that is no multiple of 32 and in one that is shrunk first", async () => {
  const photo = await portrait();
  const alone = await onlyFace(photo);
  for (const [width, height, left, top] of [
    [333, 401, 10, 60],
    [1290, 900, 700, 300],
  ] as const) {
    const { box, points } = await onlyFace(within(photo, width, height, left, top));
    const side = sideOf(alone.box);
    expect(Math.abs(box.left - left - alone.box.left)).toBeLessThan(0.15 * side);
    expect(Math.abs(box.bottom - top - alone.box.bottom)).toBeLessThan(0.15 * side);
    for (const [i, [x, y]] of points.entries())
      expect(Math.hypot(x - left - alone.points[i]![0], y - top - alone.points[i]![1])).toBeLessThan(0.06 * side);
  }
});

test("a grey picture has no face, and neither has one pixel", async () => {
  expect(await networks.detect(rgb8(200, 100, new Uint8Array(60000).fill(128)))).toEqual([]);
  expect(await networks.detect(rgb8(1, 1, new Uint8Array(3)))).toEqual([]);
});

test("landmarks lie on the same places of the face when the head is turned aside; a wall is no face", async () => {
  const photo = await portrait();
  for (const degrees of [0, 40, -40]) {
    const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
    const turn = { a: cos, b: sin, dx: 160 - cos * 160 + sin * 160, dy: 160 - sin * 160 - cos * 160 };
    const turned = warp(photo, turn, 320);
    const face = await onlyFace(turned);
    const { points, isFace } = await networks.mesh(turned, face);
    expect(points).toHaveLength(468);
    expect(isFace).toBeGreaterThan(10);
    // what lies there in the upright picture: corners of the eyes, nose tip, corners of the mouth
    const seen = { 33: [87, 130], 263: [187, 135], 1: [134, 178], 61: [99, 191], 291: [169, 196] };
    for (const [landmark, [x, y]] of Object.entries(seen) as [string, [number, number]][]) {
      const [u, v] = points[Number(landmark)]!;
      const [p, q] = backwards(turn, u, v);
      expect(Math.hypot(p - x, q - y)).toBeLessThan(0.04 * sideOf(face.box));
    }
  }
  const twice = warp(photo, { a: 2, b: 0, dx: 0, dy: 0 }, 640);
  const depth = async (picture: Rgb8) => (await networks.mesh(picture, await onlyFace(picture))).points[1]![2];
  expect((await depth(twice)) / (await depth(photo))).toBeCloseTo(2, 0);
  const wall = rgb8(320, 320, new Uint8Array(320 * 320 * 3).fill(100));
  expect((await networks.mesh(wall, await onlyFace(photo))).isFace).toBeLessThan(0);
});

test("a face's vector has unit length, and stays itself when the photo is larger, darker or turned", async () => {
  const photo = await portrait();
  const vector = async (picture: Rgb8) => networks.embed(picture, (await onlyFace(picture)).points);
  const own = await vector(photo);
  expect(own).toHaveLength(128);
  expect(Math.hypot(...own)).toBeCloseTo(1, 5);
  const cosine = (other: Float32Array): number => own.reduce((sum, x, i) => sum + x * other[i]!, 0);
  const large = warp(photo, { a: 4, b: 0, dx: 0, dy: 0 }, 1280);
  const dark = rgb8(
    320,
    320,
    photo.data.map((x) => x * 0.7),
  );
  for (const other of [large, dark, warp(photo, { a: 0.9, b: 0.6, dx: 90, dy: -60 }, 320)])
    expect(cosine(await vector(other))).toBeGreaterThan(0.97);
  expect(SAME_PERSON).toBeLessThan(0.97);
});

test("the mask of a person has the picture's size: her hair is in it, the wall is not", async () => {
  const photo = within(await portrait(), 500, 340, 20, 20);
  const mask = await networks.personMask(photo);
  expect(mask).toHaveLength(500 * 340);
  const at = (x: number, y: number): number => mask[(y + 20) * 500 + x + 20]!;
  expect(at(140, 60)).toBeGreaterThan(0.8);
  expect(at(140, 180)).toBeGreaterThan(0.9);
  expect(at(440, 150)).toBeLessThan(0.1);
});

test("after unload the process has ended; the networks load again when needed", async () => {
  await networks.unload();
  await networks.unload();
  await onlyFace(await portrait());
  expect(networks.peakMemory()).toBeLessThan(300e6);
});

test("an aborted signal stops a look before it begins", async () => {
  const reason = new Error("stopped");
  await expect(networks.detect(await portrait(), AbortSignal.abort(reason))).rejects.toBe(reason);
});

test("a part that shrinks is taken antialiased, and lies where the plain warp puts it", () => {
  const stripes = rgb8(
    400,
    400,
    Uint8Array.from({ length: 400 * 400 * 3 }, (_, i) => (Math.floor(i / 3) % 2 === 0 ? 0 : 255)),
  );
  const transform = { a: 0.1, b: 0, dx: 2, dy: 3 };
  const small = takeSquare(stripes, transform, 30);
  for (let x = 3; x < 27; x++) expect(Math.abs(small.data[(15 * 30 + x) * 3]! - 127.5)).toBeLessThan(2);

  const ramp = rgb8(
    400,
    400,
    Uint8Array.from({ length: 400 * 400 * 3 }, (_, i) => ((Math.floor(i / 3) % 400) * 255) / 400),
  );
  const turned = similarity(
    [
      [40, 60],
      [300, 120],
    ],
    [
      [5, 8],
      [50, 12],
    ],
  );
  const [smooth, plain] = [takeSquare(ramp, turned, 60), warp(ramp, turned, 60)];
  let compared = 0;
  for (let v = 0; v < 60; v++)
    for (let u = 0; u < 60; u++) {
      const [x, y] = backwards(turned, u, v);
      if (x < 10 || y < 10 || x > 390 || y > 390) continue;
      compared++;
      expect(Math.abs(smooth.data[(v * 60 + u) * 3]! - plain.data[(v * 60 + u) * 3]!)).toBeLessThanOrEqual(1);
    }
  expect(compared).toBeGreaterThan(1000);
});

test("stretching keeps a ramp a ramp and does not look beyond the border", () => {
  expect([...stretch(Float32Array.of(0, 1), 2, 1, 4, 2)]).toEqual([0, 0.25, 0.75, 1, 0, 0.25, 0.75, 1]);
  expect([...stretch(Float32Array.of(0, 0, 1, 1), 2, 2, 1, 1)]).toEqual([0.5]);
});
