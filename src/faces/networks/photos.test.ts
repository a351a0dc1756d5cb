import { readdirSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { decodePhoto } from "../../image/decode-photo.ts";
import { goldenPath } from "../../testing/golden.ts";
import { goldenJson } from "../../testing/tensors.ts";
import { sideOf } from "../geometry.ts";
import { openFaceNetworks } from "./open-networks.node.ts";
import { SAME_PERSON } from "./recogniser.ts";

const networks = openFaceNetworks({ threads: 1 });
afterAll(() => networks.unload());

const BOXES: Record<string, [number, number, number, number]> = goldenJson("faces", "photos", "boxes.json").boxes;

test("every photo of the folder has a box", () => {
  const photos = readdirSync(goldenPath("faces", "photos")).filter((name) => name.endsWith(".jpg"));
  expect(Object.keys(BOXES).sort()).toEqual(photos.sort());
});

test("in each photo its one face is found, within 15 % of the box drawn by eye; people are told apart", async () => {
  const seen: { person: string; vector: Float32Array }[] = [];
  for (const [photo, [left, top, right, bottom]] of Object.entries(BOXES)) {
    const picture = await decodePhoto(goldenPath("faces", "photos", photo));
    const faces = await networks.detect(picture);
    expect(faces, photo).toHaveLength(1);
    const { box, points, score } = faces[0]!;
    expect(score, photo).toBeGreaterThan(0.85);
    const side = sideOf({ left, top, right, bottom });
    for (const off of [box.left - left, box.top - top, box.right - right, box.bottom - bottom])
      expect(Math.abs(off) / side, `${photo} ${JSON.stringify(box)}`).toBeLessThan(0.15);
    expect((await networks.mesh(picture, faces[0]!)).isFace, photo).toBeGreaterThan(10);
    seen.push({ person: photo.split(/[_.]/)[0]!, vector: await networks.embed(picture, points) });
  }
  for (const [i, a] of seen.entries())
    for (const b of seen.slice(i + 1)) {
      const cosine = a.vector.reduce((sum, x, k) => sum + x * b.vector[k]!, 0);
      if (a.person === b.person) expect(cosine, a.person).toBeGreaterThan(SAME_PERSON + 0.005);
      else expect(cosine, `${a.person} ${b.person}`).toBeLessThan(SAME_PERSON - 0.02);
    }
});
