import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { readPngSettings } from "../image/index.ts";
import { PhotoMaker } from "../pipeline/photomaker.ts";
import { drawnPortraits } from "./demo-portraits.ts";
import { type CliTools, runCli } from "./run-cli.ts";

test("the demo makes a picture of the portraits through the real pipeline, and says what it is", async () => {
  const folder = await mkdtemp(join(tmpdir(), "demo-"));
  let [told, shown] = ["", ""];
  const io = {
    stdout: { write: (text: string) => (told += text) },
    stderr: { write: (text: string) => (shown += text) },
    env: {},
    signal: new AbortController().signal,
    now: () => performance.now(),
  };
  const tools = { load: PhotoMaker.load } as unknown as CliTools;
  const out = join(folder, "demo.png");
  expect(await runCli(["demo", "--out", out], io, tools), shown).toBe(0);

  expect(await readdir(folder)).toEqual(["demo.png"]);
  expect(told.trimEnd().split("\n").at(-1)).toBe(out);
  expect(told).toMatch(/evaluations of the UNet +\d+\.\d\d s\n/);
  expect(told).toContain("weights are random");
  const { channels } = await sharp(out).stats();
  for (const { stdev } of channels) expect(stdev).toBeGreaterThan(10); // neither blank nor black
  expect(readPngSettings(await readFile(out))).toMatchObject({ settings: { width: 256, height: 256, seed: 42 } });
  await rm(folder, { recursive: true });
});

test("the portraits are different pictures of one person, who is named by a class word", async () => {
  const { pngs, classWord } = await drawnPortraits(2024, 2, 3);
  expect(classWord).toBe("woman");
  expect(new Set(pngs.map((png) => Buffer.from(png).toString("base64"))).size).toBe(3);
  for (const png of pngs)
    expect(await sharp(png).metadata()).toMatchObject({ format: "png", width: 256, height: 256, channels: 3 });
});
