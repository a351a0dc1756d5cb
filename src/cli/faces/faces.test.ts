import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FacesReport } from "../../contract/faces.ts";
import { decodePhoto, encodePng } from "../../image/index.ts";
import { type DrawnFace, drawnNetworks, drawnPhoto } from "../../testing/drawn-faces.ts";
import { cli } from "../../testing/run-cli.ts";
import { lookAtFiles } from "./look-at-files.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "faces-"));
});
afterEach(() => rm(folder, { recursive: true }));

const photo = async (name: string, ...faces: readonly DrawnFace[]): Promise<string> => {
  await writeFile(join(folder, name), await encodePng(drawnPhoto(640, 480, faces)));
  return join(folder, name);
};
let unloaded = 0;
const networks = () => ({ ...drawnNetworks(), unload: async () => void unloaded++ });
const faces = (...args: string[]) =>
  cli(["faces", ...args], {
    faces: async () => ({ lookAtFiles: (given, options) => lookAtFiles(given, { ...options, networks: networks(), same: 0.7 }) }),
  });
const [ann, me] = [1, 2];
const family = () =>
  photo("family.png", { left: 30, top: 100, side: 120, person: ann }, { left: 300, top: 150, side: 100, person: me });

test("faces are printed with who is in which photo, and as JSON that the schema accepts", async () => {
  const given = [await family(), await photo("me.png", { left: 200, top: 100, side: 150, person: me }), await photo("tree.png")];
  const { code, out, err } = await faces(...given);
  expect(code).toBe(0);
  expect(out).toContain(`${given[0]}: 640x480, 2 faces`);
  expect(out).toMatch(/ {2}\* 2 {2}at 0\.55,0\.42 {2}100 pixels {2}certainty 0\.90 {2}person 1/);
  expect(out).toContain(`person 1 is in ${given[0]}#2, ${given[1]}#1`);
  expect(out).toContain(`${given[2]}: 640x480, no face`);
  expect(err).toContain(`No face was found in ${given[2]}`);

  const json = await faces(...given, "--json");
  const report = FacesReport.parse(JSON.parse(json.out));
  expect(report.photos.map(({ file, chosen }) => [file, chosen])).toEqual([
    [given[0], 1],
    [given[1], 0],
    [given[2], null],
  ]);
  expect(report.people[0]).toEqual({ faces: [[0, 1], [1, 0]] }); // biome-ignore format: a list
  expect(json.err).toBe("");
});

test("a face is chosen by its number or by a point, and a wrong one is refused", async () => {
  const path = await family();
  const chosen = async (name: string) => (JSON.parse((await faces(name, "--json")).out) as FacesReport).photos[0]!.chosen;
  expect([await chosen(path), await chosen(`${path}#2`), await chosen(`${path}@0.55,0.4`)]).toEqual([0, 1, 1]);
  const before = unloaded;
  const refused = await faces(`${path}#3`, "--json");
  expect([refused.code, JSON.parse(refused.out || refused.err)]).toEqual([
    1,
    expect.objectContaining({ error: expect.objectContaining({ code: "face/no-such-index" }) }),
  ]);
  expect(unloaded).toBe(before + 1);
  expect((await faces(`${path}@0.9,0.9`)).err).toContain("no face at 0.9,0.9");
});

test("a file whose name looks like a choice is that file", async () => {
  const path = await photo("me#2", { left: 200, top: 100, side: 150, person: me });
  expect((await faces(path)).out).toContain(`${path}: 640x480, 1 face`);
});

test("a folder is looked at, and drawn: what was found, and what the encoder would see", async () => {
  await family();
  await photo("tree.png");
  await writeFile(join(folder, "notes.txt"), "no photo");
  const { code, out, err } = await faces(folder, "--draw", join(folder, "seen"));
  expect([code, err]).toEqual([0, expect.stringContaining("notes.txt")]);
  expect((await readdir(join(folder, "seen"))).sort()).toEqual(["family.faces.png", "family.id.png", "tree.faces.png"]);
  expect(out).toContain(join(folder, "seen", "family.id.png"));
  const seen = await decodePhoto(join(folder, "seen", "family.id.png"));
  expect([seen.width, seen.height]).toEqual([224, 224]);
});

test("a photo that cannot be read is named, and nothing is drawn", async () => {
  await writeFile(join(folder, "broken.png"), "no picture");
  const { code, err } = await faces(await family(), join(folder, "broken.png"), "--draw", join(folder, "seen"));
  expect([code, err]).toEqual([1, expect.stringContaining("broken.png is not a picture")]);
});
