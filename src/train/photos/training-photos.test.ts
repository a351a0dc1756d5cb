import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodePng, rgb8 } from "../../image/index.ts";
import { type ReadOptions, trainingPhotos } from "./training-photos.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "photos-"));
});
afterAll(() => rm(root, { recursive: true }));

const png = (width: number, height: number, value: number) =>
  encodePng(rgb8(width, height, new Uint8Array(width * height * 3).fill(value)));
/** Makes a folder of text files and pictures. */
async function folder(name: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, name, file)), { recursive: true });
    await writeFile(join(root, name, file), content);
  }
  return join(root, name);
}
const read = (path: string, options: Partial<ReadOptions> = {}) =>
  trainingPhotos(path, { masks: true, trigger: "img", ...options });
/** A person with two good pictures, so that there is something to learn. */
const good = async () => ({
  "anna/one.png": await png(4, 6, 10),
  "anna/one.txt": "a woman in red",
  "anna/one.mask.png": await png(4, 6, 255),
  "anna/two.png": await png(5, 4, 20),
  "anna/two.txt": " a  Woman\nat sea ",
  "anna/two.mask.png": await png(5, 4, 255),
});

test("each picture has its own mask, hash and caption, with the trigger word after the class word", async () => {
  const path = await folder("good", await good());
  const told: (readonly number[])[] = [];
  const { people, dropped, kept } = await read(path, { onPhoto: (...at) => told.push(at) });
  const photo = async (name: string, prompt: string, width: number, height: number) => ({
    path: join(path, "anna", `${name}.png`),
    mask: join(path, "anna", `${name}.mask.png`),
    hash: createHash("sha256")
      .update(await readFile(join(path, "anna", `${name}.png`)))
      .digest("hex"),
    width,
    height,
    prompt,
    classWord: "woman",
  });
  expect(people).toHaveLength(1);
  expect(people[0]).toMatchObject({
    name: "anna",
    photos: [await photo("one", "a woman img in red", 4, 6), await photo("two", "a Woman img at sea", 5, 4)],
  });
  expect(dropped).toEqual([]);
  expect(kept).toEqual({ people: 1, photos: 2 });
  expect(told).toEqual([
    [1, 2],
    [2, 2],
  ]);
});

test("sizes are those of the upright photos", async () => {
  const turned = await sharp(await png(4, 6, 1))
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer();
  const path = await folder("turned", {
    "eve/a.jpg": turned,
    "eve/a.txt": "a girl",
    "eve/b.png": await png(7, 2, 2),
    "eve/b.txt": "a girl",
  });
  const { people } = await read(path, { masks: false });
  expect(people[0]!.photos.map(({ width, height }) => [width, height])).toEqual([
    [6, 4],
    [7, 2],
  ]);
});

test("without masks, none is looked for and none is reported", async () => {
  const path = await folder("maskless", { ...(await good()), "anna/one.mask.png": "no picture" });
  const { people } = await read(path, { masks: false });
  expect(people[0]!.photos.map(({ mask }) => mask)).toEqual([undefined, undefined]);
});

test("a mask is NAME_mask.png or NAME.mask.png; a picture with a caption of its own is no mask", async () => {
  const word = async (name: string, value: number) => ({
    [`eve/${name}`]: await png(4, 4, value),
    [`eve/${name.replace(/\.\w+$/, ".txt")}`]: "a girl",
  });
  const path = await folder("names", {
    ...(await word("one.png", 1)),
    "eve/one_mask.png": await png(4, 4, 255),
    ...(await word("two.png", 2)),
    "eve/two.mask.png": await png(4, 4, 255),
    // somebody who wears a mask
    ...(await word("one_mask_mask.png", 3)),
    ...(await word("two_mask.png", 4)),
    "eve/two_mask.mask.png": await png(4, 4, 255),
    "eve/one_mask_mask_mask.png": await png(4, 4, 255),
    "eve/lonely_mask.png": await png(4, 4, 255),
  });
  const { people, dropped } = await read(path);
  const names = people[0]!.photos.map(({ path: photo, mask }) => [basename(photo), basename(mask!)]);
  expect(names).toEqual([
    ["one.png", "one_mask.png"],
    ["one_mask_mask.png", "one_mask_mask_mask.png"],
    ["two.png", "two.mask.png"],
    ["two_mask.png", "two_mask.mask.png"],
  ]);
  expect(dropped.map((each) => [basename(each.path), each.reason])).toEqual([["lonely_mask.png", "caption/missing"]]);
});

test("what cannot be used is left out with its reason", async () => {
  const path = await folder("bad", {
    ...(await good()),
    "bob/alone.png": await png(4, 4, 1),
    "bob/alone.txt": "a man",
    "bob/alone.mask.png": await png(4, 4, 255),
    "eve/broken.png": "no picture",
    "eve/broken.txt": "a woman",
    "eve/broken.mask.png": await png(4, 4, 255),
    "eve/silent.png": await png(4, 4, 2),
    "eve/classless.png": await png(4, 4, 3),
    "eve/classless.txt": "someone at sea",
    "eve/bare.png": await png(4, 4, 4),
    "eve/bare.txt": "a woman",
    "eve/torn.png": await png(4, 4, 5),
    "eve/torn.txt": "a woman",
    "eve/torn.mask.png": "no picture",
    "eve/narrow.png": await png(4, 4, 6),
    "eve/narrow.txt": "a woman",
    "eve/narrow.mask.png": await png(3, 4, 255),
    "eve/black.png": await png(4, 4, 7),
    "eve/black.txt": "a woman",
    "eve/black.mask.png": await png(4, 4, 127),
  });
  const { people, dropped, kept } = await read(path);
  expect(people.map(({ name }) => name)).toEqual(["anna"]);
  expect(kept).toEqual({ people: 1, photos: 2 });
  expect(Object.fromEntries(dropped.map((each) => [each.path.slice(path.length + 1), each.reason]))).toEqual({
    "bob/alone.png": "person/one-picture",
    "eve/broken.png": "picture/unreadable",
    "eve/silent.png": "caption/missing",
    "eve/classless.png": "caption/no-class-word",
    "eve/bare.png": "mask/missing",
    "eve/torn.png": "mask/unreadable",
    "eve/narrow.png": "mask/other-size",
    "eve/black.png": "mask/empty",
  });
  expect(dropped.find(({ reason }) => reason === "mask/other-size")!.message).toContain("3x4 for 4x4");
});

test("the class word is the person's own, else the first known one; a trigger word elsewhere is moved", async () => {
  const path = await folder("words", {
    "anna/person.json": '{ "classWord": "queen" }',
    "anna/one.png": await png(4, 4, 1),
    "anna/one.txt": "a woman, queen img of Spain",
    "anna/two.png": await png(4, 4, 2),
    "anna/two.txt": "a queen",
    "bob/captions.jsonl": '{"file":"one.png","caption":"a boy and a man"}\n\n{"file":"x/two.png","caption":"a humane boy"}\n',
    "bob/one.png": await png(4, 4, 3),
    "bob/two.png": await png(4, 4, 4),
  });
  const { people } = await read(path, { masks: false });
  expect(people.map(({ photos }) => photos.map(({ prompt }) => prompt))).toEqual([
    ["a woman, queen img of Spain", "a queen img"],
    ["a boy and a man img", "a humane boy img"],
  ]);
});

test("an index lists all of its pictures", async () => {
  const line = (n: number, person: number) =>
    JSON.stringify({ file: `p${n}.png`, mask: `m${n}.png`, person, caption: `a girl ${n}`, classWord: "girl", other: 1 });
  const path = await folder("index", {
    "index.jsonl": [line(0, 7), line(1, 7), line(2, 8), line(3, 8)].join("\n"),
    ...Object.fromEntries(
      await Promise.all(
        [0, 1, 2, 3].flatMap((n) => [
          png(4, 4, n).then((p) => [`p${n}.png`, p]),
          png(4, 4, 200 + n).then((p) => [`m${n}.png`, p]),
        ]),
      ),
    ),
  });
  const { people } = await read(path);
  expect(people.map(({ name }) => name)).toEqual(["7", "8"]);
  const last = people[1]!.photos[1]!;
  expect(last).toMatchObject({ path: join(path, "p3.png"), mask: join(path, "m3.png"), prompt: "a girl img 3" });
});

test("the fingerprint depends on pictures and prompts, not on where they are", async () => {
  const files = await good();
  const print = async (name: string, more: object = {}) => (await read(await folder(name, { ...files, ...more }))).fingerprint;
  const one = await print("print-1");
  expect(await print("print-2")).toBe(one);
  expect(await print("print-3", { "anna/two.txt": "a woman at home" })).not.toBe(one);
  expect(await print("print-4", { "anna/two.png": await png(5, 4, 21) })).not.toBe(one);
});

test("folders that cannot be used are refused by code", async () => {
  const refused = (path: string, code: string, problem: RegExp) =>
    expect(read(path)).rejects.toMatchObject({ code, message: expect.stringMatching(problem) });
  await refused(join(root, "nowhere"), "data/missing", /nowhere cannot be read/);
  await refused(await folder("empty", { "anna/readme": "" }), "data/nothing-left", /no pictures were found/);
  const bare = { "anna/one.png": await png(4, 4, 1), "anna/two.png": await png(4, 4, 2) };
  await refused(await folder("bare", bare), "data/nothing-left", /2 caption\/missing/);
  await refused(await folder("json", { ...bare, "anna/person.json": "{" }), "data/not-json", /person\.json/);
  await refused(
    await folder("lines", { "index.jsonl": '{"file":"a.png","person":1}\n{"person":2}\n' }),
    "data/not-json",
    /line 2 of/,
  );
});

test("a signal stops the reading", async () => {
  const path = await folder("stopped", await good());
  const stop = new AbortController();
  await expect(read(path, { signal: stop.signal, onPhoto: () => stop.abort() })).rejects.toThrow("abort");
});
