import { afterAll, beforeAll, expect, test } from "vitest";
import { floats } from "../../core/array.ts";
import { lookAt } from "../../faces/look.ts";
import { decodePhoto, type Rgb8, readPhoto, rgb8 } from "../../image/index.ts";
import { goldenPath } from "../../testing/golden.ts";
import type { FaceTools } from "../encode/person-photos.ts";
import { openFaceTools } from "../load/open-face-tools.ts";
import { judgeOf } from "./likeness.ts";

const signal = new AbortController().signal;
let tools: FaceTools;
const pictures: Record<string, Rgb8> = {};
beforeAll(async () => {
  tools = await openFaceTools({ threads: 1 });
  for (const name of ["ardern_2018", "ardern_2022", "macron_2025"])
    pictures[name] = await readPhoto(goldenPath("faces", "photos", `${name}.jpg`));
});
afterAll(() => tools.networks.unload());

test("a picture of the person is like the photos, one of another is not, and without a face nothing is said", async () => {
  const { faces } = await lookAt(pictures.ardern_2018!, tools.networks);
  const judge = judgeOf(tools, { vectors: [await faces[0]!.vector()], embeddings: undefined, ofPack: false });
  const same = await judge(pictures.ardern_2022!, signal);
  const other = await judge(pictures.macron_2025!, signal);
  expect(same).toMatchObject({ recogniser: "dlib", facesChosenBy: "dlib", same: 0.92, photos: [same.similarity] });
  expect([same.similarity! >= same.same, other.similarity! < other.same]).toEqual([true, true]);
  const nothing = await judge(rgb8(64, 64, new Uint8Array(64 * 64 * 3)), signal);
  expect(nothing).toMatchObject({ similarity: null, photos: [] });
});

test("with a pack's embeddings its recogniser judges, the largest face; those of a file are of nobody knows which", async () => {
  const points = (side: number) => ({ box: { left: 0, top: 0, right: side, bottom: side }, points: [side], score: 1 });
  const pack = {
    detect: async () => [points(10), points(30), points(20)],
    embed: async (_: Rgb8, [side]: number[]) => Float32Array.of(side!, 0),
  } as unknown as NonNullable<FaceTools["pack"]>;
  const embeddings = floats(Float32Array.of(5, 0, 3, 4), 2, 2);
  const photo = await decodePhoto(goldenPath("faces", "photos", "ardern_2018.jpg"));
  const judged = await judgeOf({ ...tools, pack }, { vectors: [], embeddings, ofPack: true })(photo, signal);
  expect(judged).toMatchObject({ recogniser: "arcface", facesChosenBy: "dlib", photos: [1, 0.6], similarity: 0.8 });
  const ofFile = await judgeOf({ ...tools, pack }, { vectors: [], embeddings, ofPack: false })(photo, signal);
  expect(ofFile).toMatchObject({ recogniser: "dlib", similarity: null });
});
