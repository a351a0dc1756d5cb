import { describe, expect, test } from "vitest";
import { goldenJson, goldenTensors } from "../../testing/tensors.ts";
import type { Detection } from "../face.ts";
import { SCRFD_STRIDES, scrfdFaces } from "./scrfd-faces.ts";
import { type DetectionLimits, yunetFaces } from "./yunet-faces.ts";

interface Case extends DetectionLimits {
  readonly picture: string;
  readonly faces: number;
  readonly padded: readonly [number, number];
  readonly "input size": readonly [number, number];
  readonly scale: number;
}

const cases = (folder: string): [string, Case][] =>
  goldenJson("faces", folder, "expected.json").cases.map((each: Case) => [each.picture, each]);

/** A detection as the golden rows have it after box and score: ten numbers. */
const pointsOf = ({ points }: Detection): number[] => points.flat();

describe("YuNet's output becomes OpenCV's faces", () => {
  test.each(cases("yunet"))("%s", async (picture, { padded, threshold, overlap, faces: count }) => {
    const golden = await goldenTensors("faces", "yunet", picture.replace("png", "safetensors"));
    const output: Record<string, { data: Float32Array }> = {};
    for (const name of golden.names()) if (name !== "faces") output[name] = await golden.floats(name);
    const faces = yunetFaces(output as unknown as Parameters<typeof yunetFaces>[0], padded[0], { threshold, overlap });
    expect(faces).toHaveLength(count);
    const rows = faces.flatMap((face) => {
      const { left, top, right, bottom } = face.box;
      return [left, top, right - left, bottom - top, ...pointsOf(face), face.score];
    });
    expect(rows).toMatchGolden((await golden.floats("faces")).data, 2e-3);
  });
});

describe("SCRFD's output becomes InsightFace's faces", () => {
  test.each(cases("scrfd"))("%s", async (picture, each) => {
    const golden = await goldenTensors("faces", "scrfd", picture.replace("png", "safetensors"));
    const part = async (name: string, stride: number) => (await golden.floats(`${name}_${stride}`)).data;
    const levels = await Promise.all(
      SCRFD_STRIDES.map(async (stride) => ({
        score: await part("score", stride),
        bbox: await part("bbox", stride),
        kps: await part("kps", stride),
      })),
    );
    const faces = scrfdFaces(levels, each["input size"][0], each.scale, each);
    expect(faces).toHaveLength(each.faces);
    const rows = faces.map((face) => {
      const { left, top, right, bottom } = face.box;
      return [face.score, left, top, right, bottom, ...pointsOf(face)];
    });
    const expected = (await golden.floats("faces")).data;
    expect(rows.flat()).toMatchGolden(expected, 1e-3);
    expect(rows.map(([score]) => score!)).toMatchGolden(
      rows.map((_, i) => expected[i * 15]!),
      1e-5,
    );
  });
});

test("faces that overlap too much go, the best stays; equal scores keep their order", () => {
  const empty = { data: [] };
  const at = (stride: number, cls: number[], bbox: number[]) => ({
    [`cls_${stride}`]: { data: cls },
    [`obj_${stride}`]: { data: cls.map(() => 1) },
    [`bbox_${stride}`]: { data: bbox },
    [`kps_${stride}`]: { data: cls.flatMap(() => Array(10).fill(0)) },
  });
  const one = [0.5, 0.5, Math.log(2), Math.log(2)]; // 64 pixels around the middle of a place of 32
  const output = {
    ...at(32, [0.64, 0.81, 0.49, 2], [...one, ...one, ...one, 30, 0.5, 0, 0]),
    ...Object.fromEntries([8, 16].flatMap((s) => ["cls", "obj", "bbox", "kps"].map((head) => [`${head}_${s}`, empty]))),
  } as unknown as Parameters<typeof yunetFaces>[0];
  const scores = (overlap: number) => yunetFaces(output, 128, { threshold: 0.75, overlap }).map(({ score }) => score);
  expect(scores(0.3)).toEqual([1, 0.9]); // 0.8 overlaps 0.9 by a third, 0.7 is too faint, more than 1 is 1
  expect(scores(0.35)).toEqual([1, 0.9, 0.8]);
});

test("OpenCV's overlap is that of boxes cut to whole numbers", () => {
  const [wide, high] = [Math.log(10.9 / 8), Math.log(10.9 / 8)]; // counts as 10 x 10
  const empty = { data: [] };
  const none = Object.fromEntries([16, 32].flatMap((s) => ["cls", "obj", "bbox", "kps"].map((head) => [`${head}_${s}`, empty])));
  const output = {
    ...none,
    cls_8: { data: [1, 0.81] },
    obj_8: { data: [1, 1] },
    // corners at 10 and 15: 5 of 10 columns are shared, a third; of 10.9 columns 5.9 would be, 0.37
    bbox_8: { data: [15.45 / 8, 15.45 / 8, wide, high, 20.45 / 8 - 1, 15.45 / 8, wide, high] },
    kps_8: { data: Array(20).fill(0) },
  } as unknown as Parameters<typeof yunetFaces>[0];
  expect(yunetFaces(output, 32, { threshold: 0.5, overlap: 0.35 })).toHaveLength(2);
  expect(yunetFaces(output, 32, { threshold: 0.5, overlap: 0.32 })).toHaveLength(1);
});

test("InsightFace's overlap counts sides one pixel longer", () => {
  const empty = { score: [], bbox: [], kps: [] };
  // two boxes of one pixel a side, side by side: 2 of 6 pixels are shared
  const level = { score: [0.9, 0.8], bbox: [0, 0, 1 / 8, 1 / 8, -1 / 8, 0, 2 / 8, 1 / 8], kps: Array(20).fill(0) };
  const count = (overlap: number) => scrfdFaces([level, empty, empty], 32, 1, { threshold: 0.5, overlap }).length;
  expect([count(0.4), count(0.3)]).toEqual([2, 1]);
});
