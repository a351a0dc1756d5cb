import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { decodePhoto, encodePng } from "../image/index.ts";
import { personAt, renderPicture, sceneAt } from "../minifaces/index.ts";
import type { ImageEvent } from "../pipeline/index.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { openTensors } from "../weights/index.ts";
import type { IdModel } from "./benchmark.ts";
import { SIDE } from "./configs.ts";
import { TRAINING_SEED } from "./data-set.ts";
import { type EvaluateOptions, evaluateMiniature, otherUses } from "./evaluate.ts";
import { MOST_PICTURES, testSet } from "./test-set.ts";

const runtime = ortRuntime();
const folder = await mkdtemp(join(tmpdir(), "evaluate-mini-"));
afterAll(async () => {
  await runtime.close();
  await rm(folder, { recursive: true });
});
const asset = (path: string): string => fileURLToPath(new URL(`../../assets/${path}`, import.meta.url));
const SEED = 3;
const PEOPLE = 16;
const SIZE = { seed: SEED, people: PEOPLE, pictures: 2 };
const { cases } = testSet(SIZE);

/** A fake model that returns real pictures of the scene or the album, of the person asked for or the one `shift` places further on. */
const forger = (shift: number, album = false): IdModel => ({
  encodeIdImages: async (photos) => floats(new Float32Array(photos.length), photos.length, 1),
  generateTogether: (requests) =>
    Promise.all(
      requests.map(async ({ seed }) => {
        const { person, scene } = cases.find((one) => one.seed === seed)!;
        const index = (person + shift) % PEOPLE;
        const shown = album ? sceneAt(SEED, index, 7, "album") : scene;
        const { picture } = await renderPicture(personAt(SEED, index), shown, SIDE);
        return { images: [{ png: await encodePng(picture) } as ImageEvent] };
      }),
    ),
});

async function evaluation(more: Partial<EvaluateOptions>) {
  const { tensors } = await openTensors(asset("judge/weights.safetensors"));
  const options = { ...SIZE, model: asset("miniature"), judge: tensors, runtime, idImages: 1 };
  const how = { steps: 1, guidanceScale: 1, startMergeStep: 0, withAdapter: forger(0), without: forger(5) };
  return evaluateMiniature({ ...options, ...how, ...more });
}

test("real pictures of the person are recognised, and another person's are not", async () => {
  const right = await evaluation({});
  expect(right.faceSimShare.value).toBeCloseTo(1, 5);
  expect(right.faceSimShare.error).toBeLessThan(1e-6); // with and without the adapter, the pictures are the same
  expect(right.rank1.value).toBe(right.rank1.real);
  expect(right.rank1.value).toBeGreaterThan(0.8);
  expect(right.hairStyle.value).toBe(right.hairStyle.real);
  expect(right.hairStyle.value).toBeGreaterThan(0.4); // of 13, some under hats
  expect(right.faceSim.none).toBeLessThan(0.3);
  const wrong = await evaluation({ withAdapter: forger(1) });
  expect(wrong.faceSimShare.value).toBeLessThan(0.3);
  expect(wrong.faceSimShare.error).toBeGreaterThan(0.02);
  expect(wrong.rank1.value).toBeLessThan(0.3);
});

test("an adapter that draws another scene than prompted loses text, and the loss has a standard error", async () => {
  const { text, textLoss } = await evaluation({ withAdapter: forger(0, true), without: forger(0) });
  expect(textLoss.value).toBeGreaterThan(25);
  expect(textLoss.error).toBeGreaterThan(0.5);
  expect(Object.keys(text)).toEqual(["background", "clothesColour", "accessory", "style", "expression", "framing"]);
  expect(text.style!.value).toBe(0); // the album has photos alone
  expect(text.style!.real).toBeGreaterThan(0.8);
  const same = await evaluation({ without: forger(0) });
  expect(same.textLoss).toEqual({ value: 0, error: 0, real: 0 });
});

test("an evaluation includes the autoencoder's figures, other uses of the adapter, and samples", async () => {
  const result = await evaluation({ full: true, steps: 3, samples: folder });
  expect(result.vaePsnr.value).toBeGreaterThan(20);
  expect(result.vaePsnr.value).toBeLessThan(40);
  expect(result.faceVaePsnr.value).not.toBe(result.vaePsnr.value);
  const { value, real } = result.reconstructionSim;
  expect(value).not.toBe(real);
  expect(Math.abs(value - real!)).toBeLessThan(0.1);
  expect(Object.keys(result.variants!)).toEqual(["idImages=1", "idImages=2", "average", "startMergeStep=-1", "startMergeStep=2"]);
  const sheet = await decodePhoto(await readFile(join(folder, "people.png")));
  expect(sheet.width).toBeGreaterThan(6 * 128);
});

test("the chosen scheduler is used with the adapter and without", async () => {
  const asked = new Set<string | undefined>();
  const listening = (shift: number): IdModel => ({
    ...forger(shift),
    generateTogether: (requests) => {
      for (const { scheduler } of requests) asked.add(scheduler);
      return forger(shift).generateTogether(requests);
    },
  });
  await evaluation({ withAdapter: listening(0), without: listening(5), scheduler: "euler_a" });
  expect([...asked]).toEqual(["euler_a"]);
});

test("other uses reach the model", () => {
  const uses = otherUses({ idImages: 4, startMergeStep: 0 }, 25);
  expect(uses["idImages=2"]).toEqual({ idImages: 2, startMergeStep: 0 });
  const tokens = floats(Float32Array.of(1, 2, 3, 6), 2, 2);
  expect(uses.average!.compose!(tokens)).toEqual(floats(Float32Array.of(2, 4), 1, 2));
});

test("a case's prompt describes its scene, and no seed occurs twice", () => {
  const { cases } = testSet({ seed: SEED, people: 40, pictures: 4 });
  expect(cases).toHaveLength(200);
  expect(new Set(cases.map(({ seed }) => seed)).size).toBe(200);
  for (const { photo, scene, prompt, says } of cases) {
    expect(scene.style === "photo").toBe(photo);
    expect(says.has("expression")).toBe(prompt.includes(scene.expression));
  }
  expect(MOST_PICTURES).toBeGreaterThanOrEqual(4);
});

test("people seen in training are refused", async () => {
  await expect(evaluation({ seed: TRAINING_SEED })).rejects.toMatchObject({ code: "evaluate/training-seed" });
});
