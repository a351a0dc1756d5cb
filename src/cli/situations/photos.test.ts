import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { type DrawnPicture, levelsApart, PERSON, Situation, WITH_V1 } from "../../testing/situation.ts";
import { tiff } from "../../testing/tiff.ts";

const here = Situation.forTests();
const withPhotos = (...photos: string[]) => here.drawn(...WITH_V1.slice(0, 2), "--id-image", ...photos);

let want: DrawnPicture;
beforeAll(async () => {
  want = await withPhotos(PERSON);
});

test.each([
  "with space",
  "a#b@c",
  "ünï😀",
  "[best]",
  "photo (1)",
  "a[1]",
  "star*",
  "q?",
  "100%",
  "-dash",
  "c:d",
  "a'b\"",
  "back\\slash",
])("a photo called %s is that file, and no pattern", async (name) => {
  const path = here.path(`${name}.png`);
  await copyFile(PERSON, path);
  expect(levelsApart(await withPhotos(path), want)).toBe(0);
});

test("a pattern that no shell expanded, also in a folder whose name looks like one", async () => {
  const folder = here.path("set [2024]");
  await mkdir(folder);
  for (const [i, name] of ["b.png", "a.png"].entries())
    await copyFile(goldenPath("photos", `person_${i}.png`), `${folder}/${name}`);
  await writeFile(`${folder}/Thumbs.db`, "x");
  const both = await withPhotos(goldenPath("photos", "person_1.png"), PERSON); // in the order of their names
  for (const given of [`${folder}/*.png`, `${folder}/[ab].png`, folder])
    expect(levelsApart(await withPhotos(given), both), given).toBe(0);
  const { code, problem } = await here.refused(...WITH_V1.slice(0, 2), "--id-image", `${folder}/*.gif`);
  expect([code, problem]).toEqual(["id-images/no-match", expect.stringContaining("*.gif")]);
});

test("a folder without pictures, and one with a damaged photo, are refused by name", async () => {
  await mkdir(here.path("empty"));
  await mkdir(here.path("broken"));
  await copyFile(PERSON, here.path("broken", "a.png"));
  await writeFile(here.path("broken", "b.png"), (await readFile(PERSON)).subarray(0, 2000));
  const refused = async (folder: string) => here.refused(...WITH_V1.slice(0, 2), "--id-image", here.path(folder));
  expect((await refused("empty")).code).toBe("id-images/none-in-folder");
  expect(await refused("broken")).toMatchObject({ code: "photo/truncated", problem: expect.stringContaining("b.png") });
});

test("TIFFs of scanners and of printers are read: odd tags, 16 bits, tiles", async () => {
  const raw = sharp(PERSON).removeAlpha();
  const { data, info } = await raw.clone().raw().toBuffer({ resolveWithObject: true });
  const description = [...Buffer.from("scan\0ner\0", "latin1")];
  const odd = tiff({ width: info.width, height: info.height, pixels: data, more: [{ tag: 270, type: 2, values: description }] });
  const wide = await raw.clone().toColourspace("rgb16").tiff({ compression: "lzw" }).toBuffer();
  const tiles = await raw.clone().tiff({ tile: true, tileWidth: 64, tileHeight: 64, compression: "deflate" }).toBuffer();
  for (const [name, bytes] of Object.entries({ odd, wide, tiles }))
    expect(levelsApart(await withPhotos(await here.write(`${name}.tif`, bytes)), want), name).toBeLessThanOrEqual(1);
  const cut = await here.write("cut.tif", odd.subarray(0, odd.length / 2));
  expect((await here.refused(...WITH_V1.slice(0, 2), "--id-image", cut)).code).toBe("photo/truncated");
});
