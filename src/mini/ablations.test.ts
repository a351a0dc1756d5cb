import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { NdArray } from "../core/array.ts";
import { type AblationRow, readAblations, summariseAblations } from "./ablation-results.ts";
import { type AblationOptions, runAblations } from "./ablations.ts";
import { type AdapterOptions, adapterTask } from "./adapter-task.ts";
import { VISION_WIDTH } from "./configs.ts";
import { ALBUM, dataSet, TRAINING_SEED } from "./data-set.ts";
import { FEATURE_VARIANTS } from "./encode-data.ts";
import { latentSet, makeMiniature } from "./make.ts";
import { readStageWeights } from "./stage-weights.ts";

const from = await mkdtemp(join(tmpdir(), "ablations-"));
afterAll(() => rm(from, { recursive: true }));
const PEOPLE = 6;

beforeAll(async () => {
  const steps = { vae: 1, decoder: 1, vision: 1, judge: 1, base: 1, adapter: 1 };
  await makeMiniature({ folder: from, people: PEOPLE, seed: 7, workers: 1, steps, stages: ["vae", "decoder", "vision", "base"] });
}, 240_000);

async function ablations(more: Partial<AblationOptions> = {}): Promise<string[]> {
  const notes: string[] = [];
  await runAblations({
    ...{ from, seeds: 1, steps: 1, people: PEOPLE, workers: 1, variants: ["reference", "linear", "id-background-noise"] },
    judge: fileURLToPath(new URL("../../assets/judge/weights.safetensors", import.meta.url)),
    test: { people: 2, pictures: 1, seed: 2, steps: 1, guidanceScale: 1, startMergeStep: -1 },
    onNote: (note) => notes.push(note),
    ...more,
  });
  return notes;
}

test("each variant is trained, judged and noted once, and a stopped series goes on", { timeout: 240_000 }, async () => {
  const stop = new AbortController();
  const stopped = ablations({ signal: stop.signal, onNote: () => stop.abort() });
  await expect(stopped).rejects.toThrow("abort");
  expect(await readAblations(from)).toHaveLength(1);
  const notes = await ablations();
  expect(notes[0]).toBe("reference-0 is there already");
  const rows = await readAblations(from);
  expect(rows.map(({ variant, seed }) => [variant, seed])).toEqual([
    ["reference", 0],
    ["linear", 0],
    ["id-background-noise", 0],
  ]);
  for (const { figures } of rows) {
    expect(figures.faceSim.value).toBeGreaterThan(-1);
    expect(figures.textLoss.error).toBeGreaterThanOrEqual(0);
  }
  expect((await readFile(join(from, "ablations/results.jsonl"), "utf8")).trim().split("\n")).toHaveLength(3);
  expect(await ablations()).toEqual(rows.map(({ variant }) => `${variant}-0 is there already`));
});

test("runs of other settings are not put beside these", async () => {
  await expect(ablations({ steps: 2 })).rejects.toMatchObject({
    code: "ablations/other-settings",
    message: expect.stringContaining("steps was 1 and is 2"),
  });
  await expect(ablations({ from: join(from, "nowhere") })).rejects.toMatchObject({ code: "ablations/no-base" });
});

/** Features that tell their person, album picture and variant. */
const features = Float32Array.from({ length: PEOPLE * ALBUM * FEATURE_VARIANTS.length * VISION_WIDTH }, (_, i) =>
  Math.floor(i / VISION_WIDTH),
);

async function batchOf(more: Partial<AdapterOptions>) {
  const data = await dataSet(join(from, "data"), { seed: TRAINING_SEED, people: PEOPLE });
  const inputs = { base: await readStageWeights(from, "base"), features, variants: FEATURE_VARIANTS };
  const task = adapterTask((await latentSet(from, data)).data, { steps: 1, batch: 8, seed: 3, ...inputs, ...more });
  const feeds = (await task.batch({ step: 0, worker: 0, micro: 0 })) as Record<string, NdArray>;
  const rows = Array.from({ length: feeds.idFeatures!.dims[0]! }, (_, i) => Number(feeds.idFeatures!.data[i * VISION_WIDTH]));
  return { rows, places: feeds.places! };
}

test("a run sees the ID images and the places that its variant says", async () => {
  const kinds = (rows: readonly number[]) => new Set(rows.map((row) => FEATURE_VARIANTS[row % FEATURE_VARIANTS.length]));
  const linear = await batchOf({ embedding: "linear" });
  expect(linear.rows).toHaveLength(32);
  expect(linear.places.dims[2]).toBe(1);
  expect(kinds(linear.rows).size).toBe(3);
  const noise = await batchOf({ embedding: "linear", behind: "noise" });
  expect([...kinds(noise.rows)]).toEqual(["noise"]);
  const single = await batchOf({ embedding: "linear", idImages: 1 });
  for (let i = 0; i < 32; i += 4) expect(new Set(single.rows.slice(i, i + 4)).size).toBe(1); // repeated in turn
  const average = await batchOf({ embedding: "average" });
  expect(average.rows).toHaveLength(8);
  expect(average.rows.some((row) => !Number.isInteger(row))).toBe(true);
  const stacked = await batchOf({});
  const ones = Array.from(stacked.places.data, Number).filter((v) => v === 1).length;
  expect(ones).toBeGreaterThan(8);
  expect(Array.from(linear.places.data, Number).filter((v) => v === 1)).toHaveLength(8);
});

test("a summary has the mean over the seeds and its error", () => {
  const figure = (value: number) => ({ value, error: 0, real: 1 });
  const run = (seed: number, rank1: number): AblationRow => {
    const likeness = { faceSimShare: figure(0.5), faceSim: { ...figure(0.5), none: 0 }, rank1: figure(rank1) };
    const looks = { hairStyle: figure(0.5), eyeColour: figure(0.5), hairColour: figure(0.5) };
    return { variant: "reference", seed, figures: { ...likeness, ...looks, textLoss: figure(2), text: {} } };
  };
  const [summary] = summariseAblations([run(0, 0.25), run(1, 0.75)]);
  expect(summary).toMatchObject({ variant: "reference", seeds: 2 });
  expect(summary!.figures.rank1.value).toBe(0.5);
  expect(summary!.figures.rank1.error).toBeCloseTo(0.25, 10); // half the difference of two
  expect(summariseAblations([run(0, 0.25)])[0]!.figures.rank1.error).toBeNull();
});
