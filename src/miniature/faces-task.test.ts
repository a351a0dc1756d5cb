import { expect, test } from "vitest";
import { shippedFaceWeights } from "../faces/networks/open-networks.node.ts";
import { yunetFaces } from "../faces/networks/yunet-faces.ts";
import { YUNET_STRIDES, type YunetOutput } from "../models/faces/yunet.ts";
import { CANVAS, canvasOfFaces } from "./faces-data.ts";
import { facesTask, targetsOf } from "./faces-task.ts";

/** Targets of one sample in the form of the detector's output. */
function asOutput(rows: ReturnType<typeof targetsOf>): Parameters<typeof yunetFaces>[0] {
  const out = {} as Record<YunetOutput, { data: Float32Array }>;
  let from = 0;
  for (const stride of YUNET_STRIDES) {
    const to = from + (CANVAS / stride) ** 2;
    const part = (values: Float32Array, width: number) => ({ data: values.subarray(from * width, to * width) });
    out[`cls_${stride}`] = part(rows.seen, 1);
    out[`obj_${stride}`] = part(rows.seen, 1);
    out[`bbox_${stride}`] = part(rows.bbox, 4);
    out[`kps_${stride}`] = part(rows.kps, 10);
    from = to;
  }
  return out;
}

test("a detector that says what the targets say finds each drawn face once, at its box and points", async () => {
  for (let key = 0; key < 12; key++) {
    const sample = await canvasOfFaces(key);
    const found = yunetFaces(asOutput(targetsOf([sample])), CANVAS, { threshold: 0.5, overlap: 0.3 });
    expect(found).toHaveLength(sample.faces.length);
    for (const { box, points } of sample.faces) {
      const near = found.map((face) => Math.hypot(face.box.left - box.left, face.box.top - box.top));
      const face = found[near.indexOf(Math.min(...near))]!;
      expect([...Object.values(face.box), ...face.points.flat()]).toMatchGolden([...Object.values(box), ...points.flat()], 1e-4);
    }
  }
});

test("where a large face is, fine places learn that its eyes are no faces", () => {
  const box = { left: 40, top: 40, right: 200, bottom: 220 };
  const points = [
    [80, 110],
    [160, 110],
    [120, 150],
    [95, 180],
    [145, 180],
  ] as const; // prettier to read in one line
  const { seen, asked } = targetsOf([
    { picture: { width: CANVAS, height: CANVAS, data: new Uint8Array(CANVAS * CANVAS * 3) }, faces: [{ box, points }] },
  ]);
  const fine = Math.floor(110 / 8) * (CANVAS / 8) + Math.floor(80 / 8); // the eye, at the finest stride
  expect([seen[fine], asked[fine]]).toEqual([0, 1]);
  const coarse = (CANVAS / 8) ** 2 + (CANVAS / 16) ** 2 + Math.floor(130 / 32) * (CANVAS / 32) + Math.floor(120 / 32);
  expect([seen[coarse], asked[coarse]]).toEqual([1, 1]);
});

test("what a step sees follows from seed, step and worker", async () => {
  const task = facesTask({ steps: 2, batch: 1, seed: 5, detector: await shippedFaceWeights("yunet") });
  const [first, again, other] = await Promise.all([0, 0, 1].map((worker) => task.batch({ step: 3, worker, micro: 0 })));
  expect(first!.pictures!.data).toEqual(again!.pictures!.data);
  expect(first!.pictures!.data).not.toEqual(other!.pictures!.data);
});
