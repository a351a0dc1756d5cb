import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { encodePng } from "../image/index.ts";
import type { ImageEvent } from "../pipeline/index.ts";
import type { PhotoMaker } from "../pipeline/photomaker.ts";
import { ortRuntime } from "../runtime/ort-runtime.ts";
import { openTensors } from "../weights/index.ts";
import { personAt, renderPicture, sceneAt } from "../world/index.ts";
import { SIDE } from "./configs.ts";
import { type EvaluateOptions, evaluateMiniature } from "./evaluate.ts";
import { TRAINING_SEED } from "./make.ts";

const runtime = ortRuntime();
afterAll(() => runtime.close());
const asset = (path: string): string => fileURLToPath(new URL(`../../assets/${path}`, import.meta.url));
const SEED = 3;
const PEOPLE = 24;

/** Draws, whatever is asked, a real picture of the person whose turn it is, or of the one `shift` places on. */
const forger = (shift: number): Pick<PhotoMaker, "generateTogether"> => ({
  generateTogether: (requests) =>
    Promise.all(
      requests.map(async ({ seed }) => {
        const index = (seed! - 1000 + shift) % PEOPLE;
        const person = personAt(SEED, index);
        const { picture } = await renderPicture(person, sceneAt(SEED, index, 7, "album"), SIDE);
        return [{ png: await encodePng(picture) } as ImageEvent];
      }),
    ),
});

async function evaluation(more: Partial<EvaluateOptions>) {
  const { tensors } = await openTensors(asset("judge/weights.safetensors"));
  const options = { model: asset("miniature"), judge: tensors, runtime, people: PEOPLE, seed: SEED, idImages: 1 };
  const how = { steps: 1, guidanceScale: 1, startMergeStep: 0, withAdapter: forger(0), without: forger(5) };
  return evaluateMiniature({ ...options, ...how, ...more });
}

test("real pictures of the person are judged to be the person, and another's are not", async () => {
  const right = await evaluation({});
  expect(right.faceSimShare.value).toBeGreaterThan(0.9);
  expect(right.rank1.value).toBeGreaterThan(0.9);
  expect(right.hairStyle.value).toBeGreaterThan(0.6);
  expect(right.faceSim.none).toBeLessThan(0.3);
  const wrong = await evaluation({ withAdapter: forger(1) });
  expect(wrong.faceSimShare.value).toBeLessThan(0.3);
  expect(wrong.rank1.value).toBeLessThan(0.3);
});

test("people whom training has seen are refused", async () => {
  await expect(evaluation({ seed: TRAINING_SEED })).rejects.toMatchObject({ code: "evaluate/training-seed" });
});
