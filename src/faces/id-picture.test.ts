import { expect, test } from "vitest";
import { seededRandom } from "../core/random/seeded-random.ts";
import { clipCrop } from "../image/index.ts";
import { drawnNetworks, drawnPhoto } from "../testing/drawn-faces.ts";
import { squareAround } from "./crop.ts";
import { drawFaces } from "./draw-faces.ts";
import { boxInCrop, croppedTo, noiseAround } from "./id-picture.ts";
import { lookAt } from "./look.ts";

const box = (left: number, top: number, side: number) => ({ left, top, right: left + side, bottom: top + side });

test("a box is followed into the encoder's crop", () => {
  const picture = drawnPhoto(400, 200, [{ left: 150, top: 40, side: 50, person: 0 }]);
  const whole = boxInCrop(box(150, 40, 50), picture, undefined, 100);
  expect(whole).toEqual(box(25, 20, 25));
  const square = { x: 130, y: 20, size: 100 };
  expect(boxInCrop(box(150, 40, 50), picture, square, 100)).toEqual(box(20, 20, 50));
  expect(croppedTo(picture, undefined)).toBe(picture);
  // the marker's magenta fills that box and no more
  const { data } = clipCrop(croppedTo(picture, square), 100);
  const red = (x: number, y: number) => data[(y * 100 + x) * 3]! > 200;
  expect([red(18, 30), red(21, 30), red(68, 30), red(72, 30)]).toEqual([false, true, true, false]);
});

test("around the person, and over the other person, is noise as fine as the encoder's pixels", async () => {
  const picture = drawnPhoto(600, 400, [
    { left: 200, top: 100, side: 80, person: 0 },
    { left: 320, top: 100, side: 80, person: 1 },
  ]);
  const networks = drawnNetworks();
  const [first, second] = (await lookAt(picture, networks)).faces;
  const square = squareAround(picture, first!.box, [second!.box])!;
  const made = (seed: number, personMask = networks.personMask) =>
    noiseAround(
      picture,
      { face: first!.box, others: [second!.box] },
      square,
      { personMask },
      { side: 64, random: seededRandom(seed) },
    );
  const [a, b] = [await made(1), await made(2)];
  const seen = clipCrop(croppedTo(picture, square), 64);
  expect([a.width, a.height]).toEqual([64, 64]);
  const middle = boxInCrop(first!.box, picture, square, 64);
  const same = (x: number, y: number, one = a, other = seen) => one.data[(y * 64 + x) * 3] === other.data[(y * 64 + x) * 3];
  const [x, y] = [Math.round((middle.left + middle.right) / 2), Math.round(middle.top + 8)];
  expect(same(x, y)).toBe(true);
  expect(same(x, y, a, b)).toBe(true);
  const outside = Array.from({ length: 64 }, (_, i) => i);
  expect(outside.filter((i) => same(i, 2, a, b)).length).toBeLessThan(5); // above: background
  // people who touch: the right edge is nearer to the other person
  const everybody = async ({ width, height }: { width: number; height: number }) => new Float32Array(width * height).fill(1);
  const [c, d] = [await made(1, everybody), await made(2, everybody)];
  expect(outside.filter((i) => same(63, i, c, d)).length).toBeLessThan(5);
  expect(outside.filter((i) => same(2, i, c, d)).length).toBe(64);
});

test("what was found is drawn: boxes, the square, and a tint over all but the person", async () => {
  const picture = drawnPhoto(600, 400, [
    { left: 100, top: 100, side: 80, person: 0 },
    { left: 400, top: 100, side: 80, person: 1 },
  ]);
  const networks = drawnNetworks();
  const { faces } = await lookAt(picture, networks);
  const drawn = await drawFaces(picture, { faces, chosen: 1, crop: { x: 350, y: 50, size: 180 } }, networks);
  expect([drawn.width, drawn.height]).toEqual([600, 400]);
  const at = (x: number, y: number) => [...drawn.data.subarray((y * 600 + x) * 3, (y * 600 + x) * 3 + 3)];
  const near = (actual: number[], expected: readonly number[], tolerance: number) =>
    expect(actual).toMatchGolden(expected, tolerance);
  near(at(400, 150), [0x2b, 0xd6, 0x6f], 40); // the chosen box
  near(at(100, 150), [0xff, 0xd2, 0x3f], 60); // the other one
  near(at(430, 115), [255, 0, 240], 2); // the person as she is
  near(at(130, 115), [126, 42, 192], 3); // tinted
  near(at(20, 300), [48, 66, 120], 3); // the background
  const dashes = Array.from({ length: 180 }, (_, i) => at(350 + i, 50)[0]!);
  expect(dashes.filter((v) => v > 200).length).toBeGreaterThan(60);
  expect(dashes.filter((v) => v < 100).length).toBeGreaterThan(40);
});
