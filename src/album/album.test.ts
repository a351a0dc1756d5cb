import { mkdtemp, readdir, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UserError } from "../core/errors.ts";
import type { Album, NewPicture } from "./album.ts";
import { folderStore } from "./folder-store.node.ts";
import { openAlbum } from "./open-album.node.ts";
import { type PictureFilter, pictureQuery } from "./picture-search.ts";
import type { Store } from "./store.ts";

const HOUR = 3_600_000;
const CONSENT = "I have the consent of this person.";
let folder: string;
let store: Store;
let album: Album;
let now: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "album-"));
  store = await folderStore(join(folder, "store"));
  now = 1_800_000_000_000;
  album = await openAlbum(folder, store, { now: () => now });
});
afterEach(async () => {
  await album.close();
  await rm(folder, { recursive: true });
});

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined): string | undefined => data && new TextDecoder().decode(data);
const filesIn = async (): Promise<string[]> =>
  (await readdir(join(folder, "store"), { recursive: true, withFileTypes: true })).filter((e) => e.isFile()).map((e) => e.name);
const addPhoto = (owner = "ann", words = "photo") =>
  album.addPhoto(owner, { width: 4, height: 3, details: { face: 0 } }, bytes(words));
let tasks = 0;
const picture = (more: Partial<NewPicture> = {}): NewPicture => ({
  job: "job",
  task: tasks++,
  model: "sdxl",
  prompt: "a woman as an astronaut",
  styles: [],
  width: 8,
  height: 8,
  settings: { steps: 4 },
  ...more,
});

test("a photo is kept for its owner alone", async () => {
  const photo = await addPhoto();
  expect(photo).toMatchObject({ width: 4, height: 3, details: { face: 0 }, createdAt: now });
  expect(photo.id).toMatch(/^[0-9a-f]{32}$/);
  expect(text(await album.photoBytes("ann", photo.id))).toBe("photo");
  for (const call of [
    () => album.photo("ben", photo.id),
    () => album.photoBytes("ben", photo.id),
    () => album.changePhoto("ben", photo.id, {}),
    () => album.removePhoto("ben", photo.id),
    () => album.saveDerived("ben", { photo: photo.id }, "crop", bytes("x")),
    () => album.derived("ben", { photo: photo.id }, "crop"),
    () => album.addPerson("ben", { name: "Ann", photos: [photo.id], consent: CONSENT }),
  ])
    await expect(call()).rejects.toMatchObject({ code: "photo/not-found" });
  expect(await album.people("ben")).toEqual([]);
  expect(await filesIn()).toEqual([`${photo.id}.webp`]);
});

test("a person is kept with consent, and goes with photos, crops, tokens and thumbnails; pictures stay unless they are asked for", async () => {
  const [one, two, loose] = [await addPhoto(), await addPhoto(), await addPhoto()];
  const photos = [one.id, two.id];
  for (const consent of [undefined, " "])
    await expect(
      album.addPerson("ann", { name: "Ann", photos, ...(consent === undefined ? {} : { consent }) }),
    ).rejects.toMatchObject({
      code: "person/consent-needed",
    });
  const person = await album.addPerson("ann", { name: "Ann", photos, consent: CONSENT });
  expect(person).toMatchObject({ photos, consent: { text: CONSENT, at: now } });
  expect(await album.people("ann")).toEqual([person]);
  await album.saveDerived("ann", { photo: one.id }, "crop", bytes("crop"));
  await album.saveDerived("ann", { person: person.id }, "tokens", bytes("tokens"));
  expect(text(await album.derived("ann", { person: person.id }, "tokens"))).toBe("tokens");
  const made = await album.addPicture("ann", picture({ person: person.id }), bytes("png"));
  await album.thumbnail("ann", made.id, 256, async () => bytes("thumb"));
  await expect(album.removePerson("ben", person.id)).rejects.toMatchObject({ code: "person/not-found" });
  expect(await filesIn()).toHaveLength(7);

  expect(await album.removePerson("ann", person.id)).toEqual({ staying: [made.id] });
  expect((await filesIn()).sort()).toEqual([`${loose.id}.webp`, `${made.id}.256.webp`, `${made.id}.png`].sort());
  await expect(album.person("ann", person.id)).rejects.toMatchObject({ code: "person/not-found" });
  expect(await album.picture("ann", made.id)).not.toHaveProperty("person");

  const again = await album.addPerson("ann", { name: "Ann", photos: [loose.id], consent: CONSENT });
  await album.addPicture("ann", picture({ person: again.id }), bytes("png"));
  expect(await album.removePerson("ann", again.id, { pictures: true })).toEqual({ staying: [] });
  await album.removePictures("ann", [made.id]);
  expect(await filesIn()).toEqual([]);
  expect(await album.bytesOf("ann")).toBe(0);
});

test("another crop or other photos make a person's tokens invalid", async () => {
  const photo = await addPhoto();
  const person = await album.addPerson("ann", { name: "Ann", photos: [photo.id], consent: CONSENT });
  const tokens = () => album.derived("ann", { person: person.id }, "tokens");
  const save = () => album.saveDerived("ann", { person: person.id }, "tokens", bytes("tokens"));
  await save();
  await save(); // made again
  expect(text(await tokens())).toBe("tokens");
  expect((await album.changePhoto("ann", photo.id, { face: 1 })).details).toEqual({ face: 1 });
  expect(await tokens()).toBeUndefined();
  expect(text(await album.photoBytes("ann", photo.id))).toBe("photo");
  await save();
  expect((await album.changePerson("ann", person.id, { name: "Anna" })).name).toBe("Anna");
  expect(text(await tokens())).toBe("tokens");
  const other = await addPhoto();
  expect((await album.changePerson("ann", person.id, { photos: [other.id] })).photos).toEqual([other.id]);
  expect(await tokens()).toBeUndefined();
  await save();
  await album.removePhoto("ann", other.id);
  expect(await tokens()).toBeUndefined();
  expect(await album.photo("ann", photo.id)).not.toHaveProperty("person");
});

test("loose photos are forgotten some time after their last use, those of people are not", async () => {
  const [unused, used, kept] = [await addPhoto(), await addPhoto(), await addPhoto()];
  await album.addPerson("ann", { name: "Ann", photos: [kept.id], consent: CONSENT });
  now += 23 * HOUR;
  await album.touch("ann", { photos: [used.id] });
  await album.touch("ben", { photos: [unused.id] });
  now += HOUR;
  expect(await album.removeLoosePhotos(24 * HOUR)).toBe(1);
  await expect(album.photo("ann", unused.id)).rejects.toMatchObject({ code: "photo/not-found" });
  expect((await filesIn()).sort()).toEqual([`${used.id}.webp`, `${kept.id}.webp`].sort());
});

test("a task's picture is listed once", async () => {
  const task = picture();
  const first = await album.addPicture("ann", task, bytes("first"));
  const second = await album.addPicture("ann", task, bytes("second"));
  expect(second).toEqual(first);
  expect(text(await album.pictureBytes("ann", first.id))).toBe("first");
  expect(await filesIn()).toHaveLength(1);
});

test("pictures are found by words, person, model, style, seed, star, job and time, for their owner alone", async () => {
  const add = async (more: Partial<NewPicture>, owner = "ann") => (await album.addPicture(owner, picture(more), bytes("png"))).id;
  const astronaut = await add({ person: "p1", seed: 42, styles: ["Film", "Comic"] });
  now += HOUR;
  const painter = await add({ prompt: 'oil painting "at" 100% of a Málaga street', model: "other", seed: 43, job: "second" });
  const foreign = await add({}, "ben");
  const found = async (filter: Parameters<Album["pictures"]>[1]) =>
    (await album.pictures("ann", filter)).pictures.map(({ id }) => id);
  expect(await found({})).toEqual([painter, astronaut]);
  for (const [search, ids] of [
    ["ASTRO", [astronaut]],
    ["tron woman", [astronaut]],
    ["oil", [painter]],
    ["a", [painter, astronaut]],
    ["oil as", []],
    ["an ast", [astronaut]],
    ['"at"', [painter]],
    ["100%", [painter]],
    ["0%", [painter]],
    ["_", []],
    ["málaga", [painter]],
    ["AND OR NOT", []],
    ["pain*", []],
    ["paint\0oil", [painter]],
    ["a ".repeat(2000), [painter, astronaut]],
    ["'; DROP TABLE pictures; --", []],
  ] as const)
    expect(await found({ search }), search).toEqual(ids);
  expect(await found({ person: "p1" })).toEqual([astronaut]);
  expect(await found({ model: "other" })).toEqual([painter]);
  expect(await found({ style: "Comic" })).toEqual([astronaut]);
  expect(await found({ seed: 43 })).toEqual([painter]);
  expect(await found({ job: "second" })).toEqual([painter]);
  expect(await found({ from: now })).toEqual([painter]);
  expect(await found({ to: now })).toEqual([astronaut]);
  expect(await found({ star: true })).toEqual([]);
  expect((await album.star("ann", painter, true)).star).toBe(true);
  expect(await found({ star: true, search: "street" })).toEqual([painter]);
  for (const call of [
    () => album.picture("ann", foreign),
    () => album.pictureBytes("ann", foreign),
    () => album.star("ann", foreign, true),
  ])
    await expect(call()).rejects.toMatchObject({ code: "picture/not-found" });
  expect(await album.removePictures("ann", [foreign, astronaut, astronaut])).toBe(1);
  expect(await found({ search: "astronaut" })).toEqual([]);
  expect(await album.picture("ben", foreign)).toMatchObject({ prompt: "a woman as an astronaut" });
});

test("pages follow one another while pictures come and go", async () => {
  const ids: string[] = [];
  for (let i = 0; i < 7; i++) ids.unshift((await album.addPicture("ann", picture(), bytes("png"))).id);
  const first = await album.pictures("ann", { limit: 3 });
  await album.addPicture("ann", picture(), bytes("new"));
  await album.removePictures("ann", [first.pictures[2]!.id]);
  const second = await album.pictures("ann", { limit: 3, after: first.next! });
  const third = await album.pictures("ann", { limit: 3, after: second.next! });
  expect([first, second, third].flatMap((page) => page.pictures.map(({ id }) => id))).toEqual(ids);
  expect(third.next).toBeUndefined();
  expect((await album.pictures("ann", { after: "../nonsense" })).pictures).toEqual([]);
});

test("a thumbnail is made when it is first asked for, and is not made for what is not there", async () => {
  const { id } = await album.addPicture("ann", picture(), bytes("png"));
  let made = 0;
  const make = async (of: Uint8Array, size: number) => bytes(`${text(of)} in ${size}: ${++made}`);
  for (let i = 0; i < 2; i++) expect(text(await album.thumbnail("ann", id, 256, make))).toBe("png in 256: 1");
  expect(text(await album.thumbnail("ann", id, 512, make))).toBe("png in 512: 2");
  await expect(album.thumbnail("ben", id, 256, make)).rejects.toMatchObject({ code: "picture/not-found" });
  const [file] = (await filesIn()).filter((name) => name.endsWith(".png"));
  await unlink(join(folder, "store/picture", file!.slice(0, 2), file!));
  await expect(album.pictureBytes("ann", id)).rejects.toMatchObject({ code: "picture/file-missing" });
});

test("settings and drafts are each owner's", async () => {
  expect(await album.setting("ann", "draft")).toBeUndefined();
  await album.saveSetting("ann", "draft", { prompt: "a" });
  await album.saveSetting("ann", "draft", { prompt: "b" });
  expect(await album.setting("ann", "draft")).toEqual({ prompt: "b" });
  expect(await album.setting("ben", "draft")).toBeUndefined();
});

test("what a process leaves that ends in the middle is removed later: nothing is listed that is not there", async () => {
  const broken: Store = {
    ...store,
    put: async (key, data) => {
      await store.put(key, data);
      throw new UserError("store/unreachable", "cut off", "Wait.");
    },
    remove: () => Promise.reject(new UserError("store/unreachable", "away", "Wait.")),
  };
  const other = await openAlbum(folder, broken, { now: () => now });
  await expect(other.addPicture("ann", picture(), bytes("half"))).rejects.toMatchObject({ code: "store/unreachable" });
  expect((await album.pictures("ann")).pictures).toEqual([]);
  const kept = await album.addPicture("ann", picture(), bytes("png"));
  expect(await other.removePictures("ann", [kept.id])).toBe(1); // listed no more, though the store is away
  expect(await filesIn()).toHaveLength(2);
  await other.close();
  expect(await album.collect()).toBe(2);
  expect(await filesIn()).toEqual([]);
});

test("an album of a newer version is refused", async () => {
  await album.close();
  const db = new Database(join(folder, "album.sqlite"));
  db.exec("UPDATE album SET version = 99");
  db.close();
  await expect(openAlbum(folder, store)).rejects.toMatchObject({
    code: "album/newer-version",
    message: expect.stringContaining("99"),
  });
});

test("two processes have one album open", async () => {
  const other = await openAlbum(folder, store, { now: () => now });
  await Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 ? album : other).addPicture("ann", picture(), bytes("png"))));
  expect((await other.pictures("ann")).pictures).toHaveLength(10);
  await other.close();
});

test("among 10,000 pictures a search goes by the index of words, and a page by that of owners", async () => {
  await album.close();
  const db = new Database(join(folder, "album.sqlite"));
  const words = ["astronaut", "painter", "forest", "studio light", "comic", "street", "portrait", "rain"];
  const insert = db.prepare(
    "INSERT INTO pictures (id, owner, job, task, model, prompt, width, height, settings, created_at) VALUES (?, 'ann', 'j', ?, 'm', ?, 1, 1, '{}', 0)",
  );
  db.transaction(() => {
    for (let i = 0; i < 10_000; i++)
      insert.run(i.toString(16).padStart(32, "0"), i, `a woman as ${words[i % 8]} and ${words[(i * 7) % 5]} no. ${i}`);
  })();
  const planOf = (filter: PictureFilter): string => {
    const { sql, parameters } = pictureQuery("ann", filter);
    const steps = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters) as { detail: string }[];
    return steps.map(({ detail }) => detail).join("; ");
  };
  for (const filter of [{ search: "astronaut" }, { search: "astronaut rain", star: true }, { search: "no. 9999" }])
    expect(planOf(filter)).toMatch(/^SCAN w VIRTUAL TABLE INDEX \d+:M\d; SEARCH p USING INTEGER PRIMARY KEY \(rowid=\?\)$/);
  for (const filter of [{}, { after: "zz" }]) expect(planOf(filter)).toMatch(/^SEARCH p USING INDEX pictures_owner/);
  db.close();
  album = await openAlbum(folder, store, { now: () => now });
  const found = async (search: string) => (await album.pictures("ann", { search, limit: 200 })).pictures;
  expect(await found("no. 9999")).toHaveLength(1);
  expect(await found("astronaut")).toHaveLength(200);
  expect(await found("zebra")).toEqual([]);
});

test("the store opens what it wrote under its own keys, and follows no link", async () => {
  const key = `photo/${"a".repeat(32)}.webp`;
  await store.put(key, bytes("inside"));
  for (const bad of [
    "../album.sqlite",
    "photo/../../album.sqlite",
    `photo/${"a".repeat(31)}/.webp`,
    `photo/${"A".repeat(32)}.webp`,
    `other/${"a".repeat(32)}.webp`,
    `photo/${"a".repeat(32)}.webp\0`,
    `photo/${"a".repeat(32)}.webp\n`,
    `photo\\${"a".repeat(32)}.webp`,
    `C:${"a".repeat(32)}.webp`,
    `photo/%2e%2e/${"a".repeat(32)}.webp`,
    "",
  ])
    for (const call of [() => store.get(bad), () => store.put(bad, bytes("x")), () => store.remove(bad)])
      await expect(call(), bad).rejects.toMatchObject({ code: "store/bad-key" });
  const secret = join(folder, "secret");
  await writeFile(secret, "secret");
  const linked = `photo/${`aa${"b".repeat(30)}`}.webp`;
  await symlink(secret, join(folder, "store/photo/aa", `aa${"b".repeat(30)}.webp`));
  await expect(store.get(linked)).rejects.toMatchObject({ code: "store/outside" });
  await symlink(folder, join(folder, "store/picture"));
  const outside = `picture/${"c".repeat(32)}.png`;
  for (const call of [() => store.get(outside), () => store.put(outside, bytes("x")), () => store.remove(outside)])
    await expect(call()).rejects.toMatchObject({ code: "store/outside" });
  expect((await readdir(folder)).filter((name) => name === "cc")).toEqual([]);
  expect(text(await store.get(key))).toBe("inside");
  await store.remove(key);
  await store.remove(key);
  expect(await store.get(key)).toBeUndefined();
});
