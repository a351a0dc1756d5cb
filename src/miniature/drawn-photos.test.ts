import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { lookAt } from "../faces/look.ts";
import { openFacesOf } from "../faces/networks/open-drawn.node.ts";
import { openRuntime } from "../sessions/runtimes.node.ts";
import { groupPhoto, idPictures, isOn, portraitPhotos, widePhotos } from "./drawn-photos.ts";

const runtime = openRuntime({ threads: 1 });
afterAll(() => runtime.close());
const MODEL = fileURLToPath(new URL("../../assets/miniature", import.meta.url));
const tools = (await openFacesOf(runtime, MODEL))!;

test("the miniature's networks find every face of unseen drawn people, and nothing else", async () => {
  for (let person = 20; person < 24; person++)
    for (const { picture, faces } of [...(await widePhotos(2, person, 1)), await groupPhoto(2, person)]) {
      const seen = await lookAt(picture, tools.networks);
      expect(seen.turn).toBe(0);
      expect(seen.faces).toHaveLength(faces.length);
      for (const face of faces) expect(seen.faces.some(({ box }) => isOn(box, face))).toBe(true);
    }
});

test("the person of a portrait is found in a group photo, and cut out as ID images show people", async () => {
  for (let person = 20; person < 24; person++) {
    const [portrait, group] = [await portraitPhotos(2, person, 1), await groupPhoto(2, person)];
    const { pictures, chosen } = await idPictures([...portrait, group.picture], tools);
    expect(isOn(chosen[1]!, group.faces[0]!)).toBe(true);
    expect(pictures[0]).toEqual(portrait[0]); // a portrait stays as it is
    const { left, right, top, bottom } = group.faces[0]!.box;
    const share = Math.max(right - left, bottom - top) / pictures[1]!.width;
    expect(share).toBeGreaterThan(0.5);
    expect(share).toBeLessThan(0.85);
  }
});

test("off leaves the photo whole; noise hides what is not the person", async () => {
  const [photo] = await widePhotos(2, 20, 1);
  const whole = await idPictures([photo!.picture], tools, { crop: "off" });
  expect(whole.pictures[0]).toEqual(photo!.picture);
  const [kept, noisy] = await Promise.all(
    (["keep", "noise"] as const).map(
      async (background) => (await idPictures([photo!.picture], tools, { background })).pictures[0]!,
    ),
  );
  expect([noisy!.width, noisy!.height]).toEqual([64, 64]);
  /** Mean difference of neighbouring pixels in the upper left corner, as a share of the whole range. */
  const rough = ({ width, data }: typeof noisy & object): number => {
    let sum = 0;
    for (let y = 0; y < 6; y++)
      for (let x = 0; x < 6; x++) sum += Math.abs(data[(y * width + x) * 3]! - data[(y * width + x + 1) * 3]!);
    return sum / (36 * 255);
  };
  expect(rough(noisy!)).toBeGreaterThan(0.15);
  expect(rough(kept!)).toBeLessThan(0.1);
});

test("a model without such networks has none, and a config of another kind is refused", async () => {
  const folder = await mkdtemp(join(tmpdir(), "drawn-faces-"));
  expect(await openFacesOf(runtime, folder)).toBeUndefined();
  await mkdir(join(folder, "faces"));
  await writeFile(join(folder, "faces", "config.json"), JSON.stringify({ same_person: 7, crop: {} }));
  const { openDrawnFaces } = await import("../faces/networks/open-drawn.node.ts");
  await expect(openDrawnFaces(runtime, folder, { idEncoder: new Map(), config: undefined })).rejects.toMatchObject({
    code: "model/config",
    message: expect.stringContaining("same_person"),
  });
  await rm(folder, { recursive: true });
});
