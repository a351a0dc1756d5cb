import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { photoFiles } from "./photo-files.ts";

let folder: string;
const at = (...names: string[]): string => join(folder, ...names);
const photo = (name: string, ...to: string[]): Promise<void> => copyFile(goldenPath("photos", name), at(...to));
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "photos-"));
  await Promise.all(["a", "b", join("a", "inner")].map((name) => mkdir(at(name), { recursive: true })));
  await photo("person_1.png", "a", "2.png");
  await photo("person_0.png", "a", "10.png");
  await photo("person_0_444.jpg", "a", "x.jpg");
  await photo("person_2.png", "b", "x.png");
  await writeFile(at("a", "notes.txt"), "none");
  await writeFile(at("a", "short"), "");
  await writeFile(at("a", ".DS_Store"), "none");
});
afterEach(() => rm(folder, { recursive: true }));

test("a folder's pictures are taken in order of name, and other files are reported", async () => {
  const { paths, notices } = await photoFiles([at("b", "x.png"), at("a")]);
  expect(paths).toEqual([at("b", "x.png"), at("a", "10.png"), at("a", "2.png"), at("a", "x.jpg")]);
  expect(notices).toEqual([
    {
      code: "id-images/not-pictures",
      message: `3 pictures of ${at("a")} are used. These are not photos: inner, notes.txt, short.`,
    },
  ]);
});

test("masks beside their pictures are no photos of the person; a picture that is only called so is one", async () => {
  await photo("gray.png", "a", "2_mask.png");
  await photo("gray.png", "a", "x.mask.png");
  await photo("person_3.png", "a", "carnival_mask.png");
  const { paths, notices } = await photoFiles([at("a")]);
  expect(paths).toEqual([at("a", "10.png"), at("a", "2.png"), at("a", "carnival_mask.png"), at("a", "x.jpg")]);
  expect(notices[0]!.message).toContain("2_mask.png");
  expect(notices[0]!.message).toContain("x.mask.png");
});

test.each<[string, string[][]]>([
  [
    "a/*.png",
    [
      ["a", "10.png"],
      ["a", "2.png"],
    ],
  ],
  [
    "a/?.*",
    [
      ["a", "2.png"],
      ["a", "x.jpg"],
    ],
  ],
  [
    "a/[0-9]*.png",
    [
      ["a", "10.png"],
      ["a", "2.png"],
    ],
  ],
  ["a/[!0-9].jpg", [["a", "x.jpg"]]],
  [
    "*/x.*",
    [
      ["a", "x.jpg"],
      ["b", "x.png"],
    ],
  ],
  ["*/x.png", [["b", "x.png"]]],
  ["[b]", [["b", "x.png"]]], // a folder, as if it had been named
])("the pattern %s is what a shell makes of it", async (pattern, wanted) => {
  expect((await photoFiles([at(...pattern.split("/"))])).paths).toEqual(wanted.map((names) => at(...names)));
});

test("a file whose name looks like a pattern is taken as that file", async () => {
  await photo("person_3.png", "a", "[me].png");
  await photo("gray.png", "a", "m.png");
  expect((await photoFiles([at("a", "[me].png")])).paths).toEqual([at("a", "[me].png")]);
});

test("a pattern without matches is refused; missing files and web addresses are passed on unchanged", async () => {
  await expect(photoFiles([at("a", "*.gif")])).rejects.toMatchObject({ code: "id-images/no-match" });
  await expect(photoFiles([at("none", "*.gif")])).rejects.toMatchObject({ code: "id-images/no-match" });
  await expect(photoFiles([at("a", "inner")])).rejects.toMatchObject({ code: "id-images/none-in-folder" });
  const names = [at("none.jpg"), "https://example.org/me.jpg?size=*"];
  expect(await photoFiles(names)).toEqual({ paths: names, notices: [] });
});

test("a photo given several times is used once, by its content", async () => {
  await photo("person_0.png", "b", "copy.png");
  const given = [at("a", "2.png"), at("a", "10.png"), at("b", "copy.png"), at("a", "2.png"), at("a", "2.png")];
  expect(await photoFiles(given)).toEqual({
    paths: [at("a", "2.png"), at("a", "10.png")],
    notices: [
      {
        code: "id-images/repeated",
        message: `2 of 5 photos are used. The others are duplicates: ${at("b", "copy.png")} (as ${at("a", "10.png")}), ${at("a", "2.png")}, ${at("a", "2.png")}.`,
      },
    ],
  });
  expect((await photoFiles(given, { repeated: true })).paths).toEqual(given);
});
