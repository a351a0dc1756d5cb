import { readFile } from "node:fs/promises";
import { afterAll, expect, test } from "vitest";
import { type FloatArray, floats } from "../../core/array.ts";
import { Checkpoint } from "../../graph/checkpoint.ts";
import { mulDims, namedDim } from "../../graph/dim.ts";
import { input } from "../../graph/ops/source.ts";
import { Weights } from "../../graph/weights.ts";
import { decodePhoto } from "../../image/decode-photo.ts";
import { ortRuntime } from "../../runtime/node/ort-runtime.ts";
import { faceWeights } from "../../testing/face-weights.ts";
import { goldenPath } from "../../testing/golden.ts";
import { goldenJson, goldenTensors } from "../../testing/tensors.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";
import { arcface } from "./arcface.ts";
import { arcfaceConfig } from "./arcface-config.ts";
import { dlibResnet } from "./dlib-resnet.ts";
import { faceMesh } from "./face-mesh.ts";
import { selfie } from "./selfie.ts";
import { yunet } from "./yunet.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());

async function opened(name: string): Promise<{ w: Weights; unused: () => string[] }> {
  const checkpoint = new Checkpoint(await faceWeights(name), name);
  return { w: new Weights(checkpoint), unused: () => checkpoint.unused() };
}

/** A golden input, [1, 3, height, width], its values changed by `value`. */
async function golden(file: string, value: (byte: number) => number, order = [0, 1, 2]) {
  const tensors = await goldenTensors("faces", "networks", `${file}.safetensors`);
  const data = await tensors.integers("input");
  const side = Math.sqrt(data.length / 3);
  const [height, width] = [side, side];
  const x = new Float32Array(data.length);
  for (let i = 0; i < height * width; i++)
    for (let c = 0; c < 3; c++) x[c * height * width + i] = value(data[i * 3 + order[c]!]!);
  return { x: floats(x, 1, 3, height, width), expected: async (name: string) => (await tensors.floats(name)).data };
}

const unit = (v: ArrayLike<number>): number[] => {
  const length = Math.hypot(...Array.from(v));
  return Array.from(v, (x) => x / length);
};
const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  const [p, q] = [unit(a), unit(b)];
  return p.reduce((sum, x, i) => sum + x * q[i]!, 0);
};

test("YuNet gives what OpenCV's file gives", async () => {
  const { w, unused } = await opened("yunet");
  const [height, width] = [mulDims(namedDim("height"), 32), mulDims(namedDim("width"), 32)];
  const session = await runtime.load(yunet(input("x", [1, 3, height, width]), w));
  expect(unused()).toEqual([]);
  const { x, expected } = await golden("yunet", (v) => v, [2, 1, 0]);
  for (const [name, { data }] of Object.entries(await session.run({ x })))
    expect(data as Float32Array).toMatchGolden(await expected(name), 2e-3, { relative: true });
});

test("FaceMesh gives what MediaPipe's file gives", async () => {
  const { w, unused } = await opened("face-mesh");
  const session = await runtime.load(faceMesh(input("x", [1, 3, 192, 192]), w));
  expect(unused()).toEqual([]);
  const { x, expected } = await golden("facemesh", (v) => v / 255);
  const { points, flag } = await session.run({ x });
  expect(points.data as Float32Array).toMatchGolden(await expected("t213_nhwc"), 2e-3, { relative: true });
  expect(flag.data as Float32Array).toMatchGolden(await expected("t210_nhwc"), 2e-3, { relative: true });
});

test("the selfie network gives what MediaPipe's file gives", async () => {
  const { w, unused } = await opened("selfie");
  const session = await runtime.load({ mask: selfie(input("x", [1, 3, 256, 256]), w) });
  expect(unused()).toEqual([]);
  const { x, expected } = await golden("selfie", (v) => v / 255);
  const { mask } = await session.run({ x });
  expect(mask.data as Float32Array).toMatchGolden(await expected("t249_nhwc"), 2e-3, { relative: true });
});

test("dlib's network gives what face-api's weights give", async () => {
  const { w, unused } = await opened("dlib-resnet");
  const session = await runtime.load({ vector: dlibResnet(input("x", [namedDim("batch"), 3, 150, 150]), w) });
  expect(unused()).toEqual([]);
  const { x, expected } = await golden("dlib", (v) => v);
  const { vector } = await session.run({ x });
  expect(vector.data as Float32Array).toMatchGolden(await expected("embedding"), 2e-4, { relative: true });
  expect(cosine(vector.data as Float32Array, await expected("embedding"))).toBeGreaterThan(0.999999);
});

test("ArcFace's network gives the vectors of arcface_torch's weights", async () => {
  const { tensors } = await openTensors(goldenPath("faces", "arcface", "model.safetensors"));
  const checkpoint = new Checkpoint(tensors, "arcface");
  const x = input("x", [namedDim("batch"), 3, 112, 112]);
  const session = await runtime.load({ vector: arcface(x, new Weights(checkpoint), arcfaceConfig(tensors)) });
  expect(checkpoint.unused()).toEqual([]);
  const expected = await goldenTensors("faces", "arcface", "expected.safetensors");
  const { vector } = await session.run({ x: await crops() });
  expect(vector.data as Float32Array).toMatchGolden((await expected.floats("embedding")).data, 2e-5, { relative: true });
});

/** The aligned faces of the golden set, [7, 3, 112, 112], as ArcFace takes them. */
async function crops(): Promise<FloatArray> {
  const files: string[] = goldenJson("faces", "arcface", "expected.json").crops;
  const pixels: number[] = [];
  for (const file of files) {
    const { data } = await decodePhoto(await readFile(goldenPath("faces", "arcface", file)));
    for (let c = 0; c < 3; c++) for (let i = c; i < data.length; i += 3) pixels.push((data[i]! - 127.5) / 127.5);
  }
  return floats(Float32Array.from(pixels), files.length, 3, 112, 112);
}
