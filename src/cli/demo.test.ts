import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { demoPlan } from "../miniature/demo-plan.ts";
import { drawnPortraits } from "../miniature/portraits.ts";
import { PhotoMaker } from "../pipeline/photomaker.ts";
import { cli } from "../testing/run-cli.ts";

test("the demo makes a sheet with the included miniature and prints its path", async () => {
  const folder = await mkdtemp(join(tmpdir(), "demo-"));
  const out = join(folder, "demo.png");
  const told = await cli(["demo", "--out", out], { open: PhotoMaker.load });
  expect(told.code, told.err).toBe(0);

  expect(await readdir(folder)).toEqual(["demo.png"]);
  expect(told.out.trimEnd().split("\n").at(-1)).toBe(out);
  const { channels } = await sharp(out).stats();
  for (const { stdev } of channels) expect(stdev).toBeGreaterThan(10); // neither blank nor black
  await rm(folder, { recursive: true });
});

test("a prompt has the class word before the trigger word if the picture has ID images, and no trigger word otherwise", () => {
  const pictures = demoPlan(3).rows.flatMap(({ tiles }) => ("portraitsOf" in tiles ? [] : tiles));
  expect(pictures.length).toBeGreaterThan(30);
  for (const { prompt, photos } of pictures) expect(/\b(man|woman|boy|girl) img\b/.test(prompt)).toBe(photos.length > 0);
});

test("a wide photo and a group photo are drawn from whole, and from the face that is found in them; without a detector there are no such rows", () => {
  const kinds = (faces: boolean) =>
    demoPlan(3, { faces }).rows.flatMap(({ tiles, shown = [] }) =>
      "portraitsOf" in tiles ? [] : [...shown.map(({ photo }) => photo), ...tiles.flatMap(({ photos }) => photos)],
    );
  const photos = kinds(true).flatMap((photo) => ("of" in photo ? [`${photo.of} ${photo.crop}`] : []));
  expect([...new Set(photos)].sort()).toEqual(["group auto", "group off", "wide auto", "wide off"]);
  expect(kinds(false).every((photo) => "album" in photo)).toBe(true);
});

test("portraits are different pictures of one person, with the person's class word", async () => {
  const { pngs, classWord } = await drawnPortraits(2024, 2, 3);
  expect(classWord).toBe("woman");
  expect(new Set(pngs.map((png) => Buffer.from(png).toString("base64"))).size).toBe(3);
  for (const png of pngs)
    expect(await sharp(png).metadata()).toMatchObject({ format: "png", width: 256, height: 256, channels: 3 });
});
