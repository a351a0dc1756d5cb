import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Figure } from "../evaluate/statistics/bootstrap.ts";
import { writeAblations } from "../miniature/ablation-results.ts";
import { cli } from "../testing/run-cli.ts";

const from = await mkdtemp(join(tmpdir(), "ablations-cli-"));
afterAll(() => rm(from, { recursive: true }));

const run = (...args: string[]) => cli(args);

const figure = (value: number): Figure => ({ value, error: 0.01, real: 1 });
const row = (variant: string, seed: number, share: number) => ({
  variant,
  seed,
  figures: {
    faceSimShare: figure(share),
    faceSim: { ...figure(0.5), none: 0 },
    rank1: figure(0.5),
    textLoss: figure(2),
    hairStyle: figure(0.5),
    eyeColour: figure(0.5),
    hairColour: figure(0.5),
    text: {},
  },
});

test("evaluate ablations prints a line for each variant", async () => {
  const none = await run("evaluate", "ablations", "--from", from);
  expect(none.code).toBe(1);
  expect(none.err).toContain("has no ablation results");
  expect(JSON.parse((await run("evaluate", "ablations", "--from", from, "--json")).out).error.code).toBe("ablations/none");
  await writeAblations(from, [row("reference", 0, 0.7), row("average", 0, 0.6), row("reference", 1, 0.8)]);
  const { code, out } = await run("evaluate", "ablations", "--from", from);
  expect(code).toBe(0);
  const lines = out.trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[1]).toMatch(/^reference +2 +0\.750 ± 0\.050 .* 2\.0 ± 0\.0$/);
  expect(lines[2]).toMatch(/^average +1 +0\.600 +0\.500/);
  const json = JSON.parse((await run("evaluate", "ablations", "--from", from, "--json")).out);
  expect(json[1]).toMatchObject({ variant: "average", seeds: 1, figures: { faceSimShare: { value: 0.6, error: null } } });
});

test("train ablations names its variants and requires a model to start from", async () => {
  const unknown = await run("train", "ablations", "--from", from, "--variants", "reference,mean");
  expect(unknown.code).toBe(1);
  expect(unknown.err).toContain('There is no variant "mean"');
  expect(unknown.err).toContain("average, linear");
  const told = await run("train", "ablations", "--from", from, "--variants", "mean", "--json");
  expect(JSON.parse(told.out).error.code).toBe("ablations/variant");
  const nothing = await run("train", "ablations", "--from", from, "--out", from);
  expect(nothing.err).toContain(`${from} has no model_index.json`);
});
