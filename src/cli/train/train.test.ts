import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readMiniature } from "../../miniature/read-miniature.ts";
import { PhotoMaker } from "../../pipeline/photomaker.ts";
import { cli } from "../../testing/run-cli.ts";
import { checkpointPath } from "../../train/run.ts";
import { readFloats } from "../../weights/index.ts";

const folder = await mkdtemp(join(tmpdir(), "train-mini-"));
afterAll(() => rm(folder, { recursive: true }));

const trainMini = (...args: string[]) => cli(["train", "mini", ...args], { mini: () => import("../../miniature/make.ts") });

test("the miniature is made end to end, its loss falls, and the pipeline draws with it", async () => {
  const steps = ["vae=51", "decoder=2", "vision=2", "judge=2", "base=2", "adapter=2", "sharp=2", "faces=2"];
  const { code, err, out } = await trainMini("--out", folder, "--people", "12", "--workers", "1", "--steps", ...steps);
  expect(code, err).toBe(0);
  expect(out.trimEnd().split("\n").at(-1)).toBe(`${folder}/miniature`);
  const lines = (await readFile(join(folder, "vae/metrics.jsonl"), "utf8")).trim().split("\n");
  // the mean of the first 50 steps, and the loss of the last one
  const [first, last] = [lines.at(0)!, lines.at(-1)!].map((line) => (JSON.parse(line) as { loss: number }).loss);
  expect(last).toBeLessThan(first! * 0.8);

  const model = join(folder, "miniature");
  expect((await readdir(model)).sort()).toContain("photomaker-v1.safetensors");
  expect((await readdir(join(model, "faces"))).sort()).toEqual(["config.json", "detector.safetensors"]);
  await using pipeline = await PhotoMaker.load({ model, adapter: join(model, "photomaker-v1.safetensors") });
  const inputIdImages = [join(import.meta.dirname, "../../../fixtures/photos/person_0.png")];
  const { images } = await pipeline.generate({ prompt: "a photo of a man img", inputIdImages, numInferenceSteps: 2, seed: 1 });
  expect(images[0]).toMatchObject({ width: 128, height: 128, settings: { decoder: "sharp" } });
});

test("finished stages are not repeated", async () => {
  const { code, out } = await trainMini("--out", folder, "--people", "12", "--workers", "1");
  expect(code).toBe(0);
  for (const stage of ["vae", "decoder", "vision", "judge", "base", "adapter", "sharp", "faces"])
    expect(out).toContain(`${stage} is finished already`);
});

test("an unknown stage is refused with the names of the known ones", async () => {
  const { code, err } = await trainMini("--steps", "unet=5");
  expect(JSON.parse((await trainMini("--steps", "unet=5", "--json")).out).error.code).toBe("train/stage");
  expect(code).toBe(1);
  expect(err).toContain('There is no stage "unet"');
  expect(err).toContain("vae, decoder, vision, judge, base, adapter, sharp, faces");
});

test("a finished miniature is written again with a weaker LoRA", async () => {
  const model = join(folder, "miniature");
  const highest = async (): Promise<number> => {
    const { adapter } = await readMiniature(model);
    const lora = [...adapter].filter(([name]) => name.endsWith("lora_B.weight"));
    const values = await Promise.all(lora.map(([, entry]) => readFloats(entry)));
    return Math.max(...values.map((v) => v.reduce((most, x) => Math.max(most, Math.abs(x)), 0)));
  };
  const before = await highest();
  const { code, err } = await trainMini("--out", folder, "--people", "12", "--lora-strength", "50");
  expect(code, err).toBe(0);
  expect(before).toBeGreaterThan(0);
  expect((await highest()) / before).toBeCloseTo(0.5, 2);
});

test("a run can start from an earlier one, and a folder without one is refused", async () => {
  const next = join(folder, "next");
  const args = ["--out", next, "--people", "12", "--workers", "1", "--stages", "vision", "--steps", "vision=1"];
  const { code, out, err } = await trainMini(...args, "--from", folder);
  expect(code, err).toBe(0);
  expect(out).toMatch(/vision starts from .*: (\d+) of \1 weights match/);
  const half = await trainMini(...args.with(1, join(folder, "half")), "--from", join(folder, "miniature"));
  expect(half.out).toMatch(/vision starts from .*miniature: [1-9]\d* of \d+ weights match/);
  for (const stage of ["vae", "decoder"]) expect(half.out).toMatch(new RegExp(`${stage} is taken from .*miniature`));
  const base = await trainMini(
    ...args.with(1, join(folder, "half")).with(-1, "base=1").with(-3, "base"),
    "--from",
    join(folder, "miniature"),
  );
  expect(base.code, base.err).toBe(0);
  expect(base.out).toMatch(/base starts from .*miniature: (\d+) of \1 weights match/);
  const begun = join(folder, "begun");
  await mkdir(join(begun, "base"), { recursive: true });
  await writeFile(join(begun, "base", "checkpoint.safetensors"), "");
  const hidden = await trainMini(...args.with(1, begun).with(-1, "adapter=1").with(-3, "adapter"), "--from", folder);
  expect(hidden.code).toBe(1);
  expect(hidden.err).toContain(`The stage "base" is unfinished in ${begun}`);
  const other = await trainMini("--out", join(folder, "third"), "--people", "12", "--stages", "vision", "--from", "nowhere");
  expect(other.code).toBe(1);
  expect(other.err).toContain('nowhere has no finished stage "vision"');
});

test("what a run starts from must exist and be finished", async () => {
  const told = async (...args: string[]) => {
    const { out } = await trainMini(...args, "--people", "2", "--workers", "1", "--json");
    return (JSON.parse(out.trimEnd().split("\n").at(-1)!) as { error: { code: string } }).error.code;
  };
  const [out, nothing] = [join(folder, "another"), join(folder, "nothing")];
  await mkdir(nothing);
  expect(await told("--out", out, "--from", nothing, "--stages", "vae")).toBe("train/no-start");
  const checkpoint = checkpointPath(join(out, "vae"));
  await mkdir(dirname(checkpoint), { recursive: true });
  await writeFile(checkpoint, "");
  const finished = join(import.meta.dirname, "../../../assets/miniature");
  expect(await told("--out", out, "--from", finished, "--stages", "base")).toBe("train/unfinished-stage");
});
