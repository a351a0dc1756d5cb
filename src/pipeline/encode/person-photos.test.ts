import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Person } from "../../contract/person.ts";
import { clipPreprocess, encodePng, type Rgb8, readPhoto } from "../../image/index.ts";
import { EncodingCache } from "../../sessions/encoding-cache.ts";
import { drawnNetworks, drawnPhoto } from "../../testing/drawn-faces.ts";
import { goldenPath } from "../../testing/golden.ts";
import { openFaceTools } from "../load/open-face-tools.ts";
import { type FaceTools, type PhotoOptions, readPersonPhotos } from "./person-photos.ts";

const SIDE = 56;
const V1 = { image: SIDE, faceWidth: 0 };
const real = (name: string): string => goldenPath("faces", "photos", name);
const [ARDERN, ARDERN_2, MACRON] = ["ardern_2018.jpg", "ardern_2022.jpg", "macron_2025.jpg"].map(real) as [
  string,
  string,
  string,
];

let folder: string;
let tools: FaceTools;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "person-photos-"));
  tools = await openFaceTools({ threads: 1 });
});
afterAll(async () => {
  await tools.networks.unload();
  await rm(folder, { recursive: true });
});

const read = (photos: Person["photos"], options: PhotoOptions = {}, more: Partial<Person> = {}, with_: Partial<FaceTools> = {}) =>
  readPersonPhotos(V1, { photos, ...more }, options, { tools: { ...tools, ...with_ }, cache: new EncodingCache(1e6) });
const whole = async (photo: string) => clipPreprocess(await readPhoto(photo), SIDE);

/** A grey picture with photos shrunk to `height` pixels, at these places. */
async function wide(
  name: string,
  places: readonly { photo: string; left: number; top: number; height: number }[],
): Promise<string> {
  const parts = await Promise.all(
    places.map(async ({ photo, left, top, height }) => ({ input: await sharp(photo).resize({ height }).toBuffer(), left, top })),
  );
  const path = join(folder, name);
  await sharp({ create: { width: 1200, height: 800, channels: 3, background: "#808080" } })
    .composite(parts)
    .png()
    .toFile(path);
  return path;
}

test("a portrait stays as it is, to the bit; with off no network is asked", async () => {
  const auto = await read([ARDERN, MACRON]);
  expect(auto.pixels).toEqual([await whole(ARDERN), await whole(MACRON)]);
  expect([auto.picked, auto.notices.map(({ code }) => code)]).toEqual([false, ["face/different-people"]]);
  const networks = drawnNetworks();
  const off = await read([ARDERN], { idCrop: "off" }, {}, { networks });
  expect(off).toMatchObject({ pixels: [await whole(ARDERN)], faces: undefined, notices: [], picked: false, vectors: [] });
  expect(networks.asked.detect).toBe(0);
  const always = await read([ARDERN], { idCrop: "always" });
  expect(always.used![0]!.crop!.size).toBe(716); // as much as the photo has
});

test("a small face is cut out, and looks as in its portrait", async () => {
  const small = await wide("small.png", [{ photo: ARDERN, left: 700, top: 100, height: 300 }]);
  const { pixels, used, picked } = await read([small]);
  const { crop, face } = used[0]!;
  expect(picked).toBe(true);
  expect(face).toBe(0);
  expect(crop!.size).toBeGreaterThan(250);
  expect(crop!.size).toBeLessThan(400);
  expect(crop!.x).toBeGreaterThan(600);
  expect(pixels[0]).not.toEqual(await whole(small));
  const cut = join(folder, "cut.png");
  await sharp(small).extract({ left: crop!.x, top: crop!.y, width: crop!.size, height: crop!.size }).png().toFile(cut);
  expect(pixels[0]).toEqual(await whole(cut));
});

test("in a group photo the one who is in the others is taken, or the one who is asked for", async () => {
  const group = await wide("group.png", [
    { photo: MACRON, left: 60, top: 60, height: 420 },
    { photo: ARDERN_2, left: 800, top: 300, height: 330 },
  ]);
  const cropOf = async (photos: string[], more: Partial<Person> = {}) => {
    const { used, notices } = await read(photos, {}, more);
    return { x: used![0]!.crop!.x, face: used![0]!.face, codes: notices.map(({ code }) => code) };
  };
  const known = await cropOf([group, ARDERN]);
  expect([known.face, known.x > 600]).toEqual([1, true]);
  expect(known.codes).not.toContain("face/unlike");
  expect((await cropOf([group])).face).toBe(0); // the larger one
  for (const asked of [`${group}#2`, `${group}@0.75,0.5`]) expect((await cropOf([asked])).face).toBe(1);
  expect((await cropOf([group], { face: 1 })).face).toBe(1);
  expect((await cropOf([group], { face: { at: [0.75, 0.5] } })).face).toBe(1);
  expect((await cropOf([group, group], { face: [0, 1] })).face).toBe(0);
  await expect(read([`${group}#3`])).rejects.toMatchObject({ code: "face/no-such-index" });
  await expect(read([`${group}#2`], { idCrop: "off" })).rejects.toMatchObject({ code: "face/crop-off" });
});

test("a crop may be given, and must lie in the photo", async () => {
  const { pixels, used } = await read([ARDERN, ARDERN], {}, { crop: [{ x: 10, y: 20, size: 300 }, null] });
  expect(used!.map(({ crop }) => crop)).toEqual([{ x: 10, y: 20, size: 300 }, null]);
  const cut = join(folder, "own.png");
  await sharp(ARDERN).extract({ left: 10, top: 20, width: 300, height: 300 }).png().toFile(cut);
  expect(pixels).toEqual([await whole(cut), await whole(ARDERN)]);
  await expect(read([ARDERN], {}, { crop: [{ x: 500, y: 0, size: 300 }] })).rejects.toMatchObject({ code: "crop/outside" });
});

test("noise around the person: the same each time, and the face stays", async () => {
  const [kept, noise, again] = [
    await read([ARDERN]),
    ...(await Promise.all([1, 2].map(() => read([ARDERN], { idBackground: "noise" })))),
  ];
  expect(noise!.pixels).toEqual(again!.pixels);
  const change = (x: number, y: number): number => {
    const at = y * SIDE + x;
    return [0, 1, 2].reduce(
      (sum, c) => sum + Math.abs(kept!.pixels[0]![c * SIDE ** 2 + at]! - noise!.pixels[0]![c * SIDE ** 2 + at]!),
      0,
    );
  };
  expect(change(SIDE / 2, SIDE / 2)).toBeLessThan(0.1);
  expect(Math.max(...[2, 3, 4, 5].map((x) => change(x, 2)))).toBeGreaterThan(0.5);
});

test("a tiny face is refused unless that is allowed; where no photo has a face this is said once", async () => {
  const tiny = await wide("tiny.png", [{ photo: MACRON, left: 500, top: 300, height: 55 }]);
  await expect(read([tiny])).rejects.toMatchObject({ code: "face/too-small" });
  const { notices } = await read([tiny], { allowSmallFaces: true });
  expect(notices).toEqual([{ code: "face/tiny", message: expect.stringContaining(`${tiny}: The face is `) }]);
  const none = ["a.png", "b.png"].map((name) => join(folder, name));
  for (const path of none)
    await writeFile(
      path,
      await sharp({ create: { width: 99, height: 99, channels: 3, background: "#246" } })
        .png()
        .toBuffer(),
    );
  const plain = await read(none);
  expect(plain.notices).toEqual([{ code: "face/none", message: expect.stringContaining("any of the 2 photos") }]);
  expect(plain.pixels[0]).toEqual(await whole(none[0]!));
});

test("the same pixels are not looked at twice", async () => {
  const networks = drawnNetworks();
  const photo = await encodePng(drawnPhoto(600, 400, [{ left: 300, top: 100, side: 70, person: 1 }]));
  const cache = new EncodingCache(1e6);
  const look = () => readPersonPhotos(V1, { photos: [photo] }, {}, { tools: { networks, same: 0.9, pack: undefined }, cache });
  const first = await look();
  const asked = { ...networks.asked };
  expect([asked.detect, asked.embed, first.used![0]!.face, first.vectors.length]).toEqual([1, 1, 0, 1]);
  expect(await look()).toEqual(first);
  expect(networks.asked).toEqual(asked);
});

const embedded = (width: number): FaceTools["pack"] =>
  ({
    detect: async () => [
      { box: { left: 0, top: 0, right: 90, bottom: 90 }, points: [], score: 1 },
      { box: { left: 200, top: 200, right: 600, bottom: 700 }, points: [], score: 0.8 },
    ],
    embed: async (picture: Rgb8, points: unknown[]) => new Float32Array(width).fill(picture.width + points.length),
    unload: async () => {},
  }) as unknown as FaceTools["pack"];

test("a V2 adapter gets the pack's vector of the chosen face; a photo without one is refused by name", async () => {
  const V2 = { image: SIDE, faceWidth: 4 };
  const of = (photos: string[], pack: FaceTools["pack"], options: PhotoOptions = {}) =>
    readPersonPhotos(V2, { photos }, options, { tools: { ...tools, pack }, cache: new EncodingCache(1e6) });
  const { faces } = await of([ARDERN, ARDERN_2], embedded(4));
  expect([faces!.dims, [...faces!.data]]).toEqual([
    [2, 4],
    [716, 716, 716, 716, 689, 689, 689, 689],
  ]);
  expect((await of([ARDERN], embedded(4), { idCrop: "off" })).faces!.data[0]).toBe(716);
  await expect(of([ARDERN], embedded(3))).rejects.toMatchObject({ code: "face-pack/width" });
  const blind = { ...embedded(4)!, detect: async () => [] };
  await expect(of([ARDERN], blind)).rejects.toMatchObject({ code: "face/not-found", message: expect.stringContaining(ARDERN) });
});
