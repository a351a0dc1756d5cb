import { expect, test } from "vitest";
import { FacesReport } from "../contract/faces.ts";
import { drawnNetworks, drawnPhoto } from "../testing/drawn-faces.ts";
import { lookAt } from "./look.ts";
import { facesReport, lookAtPhotos } from "./look-at-photos.ts";
import { turned } from "./turn.ts";

const SAME = 0.7;
const [ann, me, bob] = [1, 2, 3];

test("faces come from left to right, and a vector is computed once, when it is asked for", async () => {
  const networks = drawnNetworks();
  const photo = drawnPhoto(600, 400, [
    { left: 400, top: 50, side: 100, person: ann },
    { left: 100, top: 200, side: 70, person: me, score: 0.95 },
    { left: 250, top: 100, side: 50, person: bob },
  ]);
  const { faces, turn } = await lookAt(photo, networks);
  expect(turn).toBe(0);
  expect(faces.map(({ side }) => side)).toEqual([70, 50, 100]);
  expect(faces[0]!.warnings.map(({ code }) => code)).not.toContain("face/small");
  expect(faces[1]!.warnings.map(({ code }) => code)).toContain("face/small");
  expect(networks.asked.embed).toBe(0);
  expect((await faces[0]!.vector())[me]).toBeCloseTo(0.9, 6);
  await faces[0]!.vector();
  expect(networks.asked.embed).toBe(1);
});

test("a vector whose computation failed is computed again", async () => {
  const networks = drawnNetworks();
  let fails = true;
  const embed: typeof networks.embed = async (...given) => {
    if (fails) throw new Error("stopped");
    return networks.embed(...given);
  };
  const { faces } = await lookAt(drawnPhoto(300, 300, [{ left: 50, top: 50, side: 100, person: me }]), { ...networks, embed });
  await expect(faces[0]!.vector()).rejects.toThrow("stopped");
  fails = false;
  expect((await faces[0]!.vector())[me]).toBeCloseTo(0.9, 6);
});

test("several photos: one in memory at a time, people over all of them, the person's face in each, all as JSON", async () => {
  const pictures = {
    "family.jpg": drawnPhoto(600, 400, [
      { left: 30, top: 50, side: 150, person: ann },
      { left: 250, top: 100, side: 80, person: me },
      { left: 400, top: 100, side: 90, person: bob },
    ]),
    "me.jpg": turned(drawnPhoto(300, 250, [{ left: 100, top: 50, side: 120, person: me }]), 90),
    "tree.jpg": drawnPhoto(100, 100, []),
    "ann.jpg": drawnPhoto(300, 300, [{ left: 100, top: 50, side: 120, person: ann }]),
  };
  const seen: string[] = [];
  const given = Object.entries(pictures).map(([name, picture]) => ({ name, read: async () => picture }));
  const looked = await lookAtPhotos(
    given.map((photo) => ({
      ...photo,
      read: () => {
        seen.push(`read ${photo.name}`);
        return photo.read();
      },
    })),
    drawnNetworks(),
    { same: SAME, onPhoto: (_, index) => void seen.push(`seen ${index}`) },
  );
  expect(seen).toEqual([
    "read family.jpg",
    "seen 0",
    "read me.jpg",
    "seen 1",
    "read tree.jpg",
    "seen 2",
    "read ann.jpg",
    "seen 3",
  ]);
  const report = facesReport(looked);
  expect(FacesReport.parse(JSON.parse(JSON.stringify(report)))).toEqual(report);
  expect(report.photos.map(({ file, width, height, turn }) => [file, width, height, turn])).toEqual([
    ["family.jpg", 600, 400, 0],
    ["me.jpg", 300, 250, 270],
    ["tree.jpg", 100, 100, 0],
    ["ann.jpg", 300, 300, 0],
  ]);
  expect(report.photos[0]!.faces[1]).toMatchObject({
    box: { x: 250, y: 100, width: 80, height: 80 },
    ...{ score: 0.9, isFace: 20, side: 80, crop: { x: 186, y: 44, size: 208 } },
  });
  expect(report.people).toEqual([{ faces: [[0, 0], [3, 0]] }, { faces: [[0, 1], [1, 0]] }, { faces: [[0, 2]] }]); // biome-ignore format: a list
  expect(report.photos.map(({ chosen, reason }) => [chosen, reason])).toEqual([
    [0, "same-person"],
    [0, "only"],
    [null, "none"],
    [0, "only"],
  ]);
  expect(report.notices.map(({ code }) => code)).toEqual(["face/turned", "face/none", "face/unlike"]);
});
