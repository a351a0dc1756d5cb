import { beforeAll, expect, test } from "vitest";
import { UserError } from "../core/errors.ts";
import { cutOut } from "../image/cut-out.ts";
import { type Rgb8, resize, rgb8 } from "../image/index.ts";
import { goldenTensors } from "../testing/tensors.ts";
import type { Detection, FaceMesh, FivePoints } from "./face.ts";
import { qualityOf, refuseTooSmall, sharpness } from "./quality.ts";

let portrait: Rgb8;
beforeAll(async () => {
  const golden = await goldenTensors("faces", "networks", "yunet.safetensors");
  portrait = rgb8(320, 320, Uint8Array.from(await golden.integers("input")));
});

const POINTS: FivePoints = [[101, 130], [173, 134], [133, 165], [104, 197], [160, 201]]; // biome-ignore format: measured by eye
const FACE: Detection = { box: { left: 70, top: 75, right: 210, bottom: 245 }, points: POINTS, score: 0.9 };
/** Landmarks that fill a box evenly. */
const mesh = (left = 70, top = 75, right = 210, bottom = 245): FaceMesh => ({
  points: Array.from(
    { length: 400 },
    (_, i) => [left + ((right - left) * (i % 20)) / 19, top + ((bottom - top) * Math.floor(i / 20)) / 19, 0] as const,
  ),
  isFace: 20,
});
const codes = (picture: Rgb8, face = FACE, seen = mesh()) => qualityOf(picture, face, seen).map(({ code }) => code);
/** A face in pixels of a picture that was shrunk, or of which a part was cut off at the left and at the top. */
const changed = ({ box, points }: Detection, scale: number, left = 0, top = 0): Detection => ({
  box: {
    left: box.left * scale - left,
    top: box.top * scale - top,
    right: box.right * scale - left,
    bottom: box.bottom * scale - top,
  },
  points: points.map(([x, y]) => [x * scale - left, y * scale - top]) as unknown as FivePoints,
  score: 0.9,
});
const blurred = (picture: Rgb8, factor: number): Rgb8 =>
  resize(resize(picture, 320 / factor, 320 / factor, "bilinear"), 320, 320, "bicubic");

test("nothing is said of a good face", () => {
  expect(codes(portrait)).toEqual([]);
});

test("a small face is warned of, and a smaller one with another code; sharpness is not its fault", () => {
  const at = (scale: number) =>
    codes(
      resize(portrait, 320 * scale, 320 * scale, "bilinear"),
      changed(FACE, scale),
      mesh(70 * scale, 75 * scale, 210 * scale, 245 * scale),
    );
  expect(at(0.4)).toEqual([]); // 68 pixels
  expect(at(0.35)).toEqual(["face/small"]);
  expect(at(0.175)).toEqual(["face/tiny"]);
});

test("a face under 32 pixels is refused, unless that is allowed", () => {
  expect(() => refuseTooSmall("me.jpg", 31.9, false)).toThrow(
    expect.objectContaining({ code: "face/too-small", remedy: expect.stringContaining("--allow-small-faces") }),
  );
  expect(() => refuseTooSmall("me.jpg", 31.9, false)).toThrow(UserError);
  refuseTooSmall("me.jpg", 32, false);
  refuseTooSmall("me.jpg", 5, true);
});

test("a blurred face is warned of, at the size at which the ID encoder sees it", () => {
  expect(sharpness(portrait, FACE)).toBeGreaterThan(0.28);
  expect(codes(blurred(portrait, 8))).toEqual(["face/blurred"]);
  const large = resize(portrait, 1280, 1280, "bicubic"); // soft in its own pixels
  expect(codes(large, changed(FACE, 4), mesh(280, 300, 840, 980))).toEqual([]);
});

test("a face that is cut by the border is warned of, and one beside the border is not", () => {
  const cut = (left: number) => {
    const whole = changed(FACE, 1, left);
    const box = { ...whole.box, left: Math.max(0, whole.box.left) }; // what detectors report
    return codes(cutOut(portrait, left, 0, 320 - left, 320), { ...whole, box }, mesh(70 - left, 75, 210 - left, 245));
  };
  expect(cut(69)).toEqual([]);
  expect(cut(100)).toContain("face/cut");
  expect(cut(135)).toContain("face/cut");
  // only the shape of the box tells of a forehead that is cut off
  const low = { ...FACE, box: { ...FACE.box, top: 0, bottom: 150 } };
  expect(codes(portrait, low, mesh(70, 0, 210, 150))).toContain("face/cut");
});

test("a face that is turned away is warned of: the nose is no longer between the eyes", () => {
  const nose = (x: number): Detection => ({ ...FACE, points: [POINTS[0], POINTS[1], [x, 165], POINTS[3], POINTS[4]] });
  expect(codes(portrait, nose(120))).toEqual([]);
  expect(codes(portrait, nose(100))).toEqual(["face/turned-away"]);
  expect(codes(portrait, nose(180))).toEqual(["face/turned-away"]);
});

test("covered eyes are warned of: dark glasses, or something plain before both", () => {
  /** The portrait with discs before eyes. */
  const covered = (colour: number, ...eyes: number[]) => {
    const data = portrait.data.map((v, i) => {
      const [x, y] = [Math.floor(i / 3) % 320, Math.floor(i / 960)];
      const near = eyes.some((eye) => Math.hypot((x - POINTS[eye]![0]) / 1.3, y - POINTS[eye]![1]) < 22);
      return near ? colour + ((x + y) % 4) : v;
    });
    return rgb8(320, 320, data);
  };
  expect(codes(covered(14, 0, 1))).toEqual(["face/eyes-covered"]);
  expect(codes(covered(150, 0, 1))).toEqual(["face/eyes-covered"]);
  expect(codes(covered(14, 0))).toEqual([]);
});
