import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import type { NdArray } from "../core/array.ts";
import { type AblationRow, readAblations, summariseAblations } from "./ablation-results.ts";
import { type AblationOptions, runAblations } from "./ablations.ts";
import { type AdapterOptions, adapterTask } from "./adapter-task.ts";
import { VISION_WIDTH } from "./configs.ts";
import { ALBUM, dataSet, TRAINING_SEED } from "./data-set.ts";
import { FEATURE_VARIANTS } from "./encode-data.ts";
import { scaledLatents } from "./make.ts";
import { readMiniature } from "./read-miniature.ts";

const folder = await mkdtemp(join(tmpdir(), "ablations-"));
afterAll(() => rm(folder, { recursive: true }));
const asset = (name: string): string => fileURLToPath(new URL(`../../assets/${name}`, import.meta.url));
const from = asset("miniature");
const PEOPLE = 6;

async function ablations(more: Partial<AblationOptions> = {}): Promise<string[]> {
  const notes: string[] = [];
  await runAblations({
    from,
    folder,
    seeds: 1,
    steps: 1,
    people: PEOPLE,
    workers: 1,
    variants: ["reference", "linear", "id-background-noise"],
    judge: asset("judge/weights.safetensors"),
    test: { people: 2, pictures: 1, seed: 2, steps: 1, guidanceScale: 1, startMergeStep: -1 },
    onNotice: (note) => notes.push(note),
    ...more,
  });
  return notes;
}

test("each variant is trained, evaluated and recorded once, and a stopped series resumes", async () => {
  const stop = new AbortController();
  const stopped = ablations({ signal: stop.signal, onNotice: () => stop.abort() });
  await expect(stopped).rejects.toThrow("abort");
  expect(await readAblations(folder)).toHaveLength(1);
  const notes = await ablations();
  expect(notes[0]).toBe("reference-0 is already done");
  const rows = await readAblations(folder);
  expect(rows.map(({ variant, seed }) => [variant, seed])).toEqual([
    ["reference", 0],
    ["linear", 0],
    ["id-background-noise", 0],
  ]);
  for (const { figures } of rows) {
    expect(figures.faceSim.value).toBeGreaterThan(-1);
    expect(figures.textLoss.error).toBeGreaterThanOrEqual(0);
  }
  expect((await readFile(join(folder, "results.jsonl"), "utf8")).trim().split("\n")).toHaveLength(3);
  expect(await ablations()).toEqual(rows.map(({ variant }) => `${variant}-0 is already done`));
});

test("runs with other options are refused", async () => {
  await expect(ablations({ steps: 2 })).rejects.toMatchObject({
    code: "ablations/other-settings",
    message: expect.stringContaining("steps was 1 and is 2"),
  });
  await expect(ablations({ from: folder })).rejects.toMatchObject({ code: "model/not-a-model" });
});

/** Features that identify person, album picture and variant. */
const features = Float32Array.from({ length: PEOPLE * ALBUM * FEATURE_VARIANTS.length * VISION_WIDTH }, (_, i) =>
  Math.floor(i / VISION_WIDTH),
);

async function batchOf(more: Partial<AdapterOptions>) {
  const data = await dataSet(join(folder, "data"), { seed: TRAINING_SEED, people: PEOPLE });
  const miniature = await readMiniature(from);
  const inputs = { base: miniature.base, features, variants: FEATURE_VARIANTS };
  const task = adapterTask(await scaledLatents(join(folder, "data"), data, miniature), {
    steps: 1,
    batch: 8,
    seed: 3,
    ...inputs,
    ...more,
  });
  const feeds = (await task.batch({ step: 0, worker: 0, micro: 0 })) as Record<string, NdArray>;
  const rows = Array.from({ length: feeds.idFeatures!.dims[0]! }, (_, i) => Number(feeds.idFeatures!.data[i * VISION_WIDTH]));
  return { rows, places: feeds.places! };
}

test("a run sees its variant's ID images, at its variant's positions", async () => {
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
