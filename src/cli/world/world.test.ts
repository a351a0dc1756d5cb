import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, expect, test } from "vitest";
import { VOCABULARY } from "../../minifaces/index.ts";
import { cli, codeOf } from "../../testing/run-cli.ts";
import { addWorld } from "./world.ts";
import { renderWorld } from "./world-files.ts";

let folder: string;
let interrupt: AbortController;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "world-"));
  interrupt = new AbortController();
});
afterEach(() => rm(folder, { recursive: true }));

const tools = { world: () => import("./world-files.ts") };
const world = (...args: string[]) => cli(["world", ...args], tools, { signal: interrupt.signal });

test("a sheet is one picture, identical for the same seed", async () => {
  const sheet = (name: string, seed: string) =>
    world("sheet", "--people", "2", "--pictures", "3", "--side", "32", "--seed", seed, "--out", join(folder, name));
  const { code, out, err } = await sheet("a.png", "1");
  expect([code, out]).toEqual([0, `${join(folder, "a.png")}\n`]);
  expect(err).toContain("drawing 6/6");
  await sheet("b.png", "1");
  await sheet("c.png", "2");
  const [a, b, c] = await Promise.all(["a", "b", "c"].map((name) => readFile(join(folder, `${name}.png`))));
  expect(a!.equals(b!)).toBe(true);
  expect(a!.equals(c!)).toBe(false);
  const { width, height } = await sharp(a!).metadata();
  expect([width, height]).toEqual([24 + 3 * 32 + 2 * 10 + 24, 24 + 2 * 32 + 10 + 24]);
});

test("a sheet can go to stdout, with nothing else", async () => {
  const bytes: unknown[] = [];
  const stdout = { write: (some: unknown) => bytes.push(some) };
  const args = ["world", "sheet", "--people", "1", "--pictures", "1", "--side", "32", "--out", "-"];
  expect((await cli(args, { world: () => import("./world-files.ts") }, { stdout })).code).toBe(0);
  expect(bytes).toHaveLength(1);
  expect((await sharp(bytes[0] as Uint8Array).metadata()).format).toBe("png");
});

test("captions make a sheet taller", async () => {
  const height = async (...more: string[]) => {
    await world("sheet", "--people", "1", "--pictures", "1", "--side", "64", "--out", join(folder, "s.png"), ...more);
    return (await sharp(await readFile(join(folder, "s.png"))).metadata()).height;
  };
  expect(await height("--captions")).toBeGreaterThan((await height()) + 20);
});

test("render writes pictures, masks and an index that agree", async () => {
  const out = join(folder, "faces");
  expect((await world("render", "--people", "2", "--pictures", "2", "--side", "32", "--out", out, "-q")).code).toBe(0);
  const lines = (await readFile(join(out, "index.jsonl"), "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.map(({ person, kind }) => `${person} ${kind}`)).toEqual(["0 album", "0 free", "1 album", "1 free"]);
  expect((await readdir(out)).length).toBe(4 * 2 + 1);
  for (const { file, mask, caption, captionWithIdentity, landmarks, identity } of lines) {
    expect(await sharp(join(out, file)).metadata()).toMatchObject({ width: 32, height: 32, channels: 3 });
    const { data, info } = await sharp(join(out, mask)).raw().toBuffer({ resolveWithObject: true });
    const at = ([x, y]: [number, number]) => data[(Math.floor(y * 32) * 32 + Math.floor(x * 32)) * info.channels];
    expect(at(landmarks.nose)).toBe(255);
    for (const word of `${caption} ${captionWithIdentity}`.split(" ")) expect(VOCABULARY).toContain(word);
    expect(captionWithIdentity).toContain(`${identity.eyeColour} eyes`);
  }
  const again = await world("render", "--out", out);
  expect(again.code).toBe(1);
  expect(again.err).toContain("is not empty");
  const request = { people: 1, pictures: 1, seed: 1, side: 8, signal: interrupt.signal, onPicture: () => {} };
  await expect(renderWorld(request, out)).rejects.toMatchObject({ code: "out/not-empty" });
});

test("requests that cannot be drawn are refused with a remedy", async () => {
  const refused = async (...args: string[]) => (await world(...args, "--out", join(folder, "x.png"))).err;
  expect(await refused("sheet", "--people", "0")).toContain("--people 1");
  expect(await refused("sheet", "--seed", "1.5")).toContain("must be a whole number");
  expect(await refused("sheet", "--people", "1000", "--pictures", "100")).toContain("world render");
  const many = ["world", "sheet", "--people", "1000", "--pictures", "100", "--out", join(folder, "x.png")];
  expect(await codeOf((program, io) => addWorld(program, io, tools), many)).toBe("sheet/too-large");
  expect(await readdir(folder)).toEqual([]);
});

test("Ctrl-C leaves no index", async () => {
  interrupt.abort(new DOMException("Stopped.", "AbortError"));
  const out = join(folder, "faces");
  expect((await world("render", "--out", out)).code).toBe(130);
  expect(await readdir(out)).toEqual([]);
});

test("two runs that start in one empty folder do not mix: one continues, the other is refused", async () => {
  const render = (seed: string) =>
    world(
      "render",
      "--people",
      "1",
      "--pictures",
      "2",
      "--side",
      "32",
      "--seed",
      seed,
      "--out",
      join(folder, "faces"),
      "--quiet",
    );
  const runs = await Promise.all(["1", "2"].map(render));
  expect(runs.map(({ code }) => code).sort()).toEqual([0, 1]);
  expect(runs.map(({ err }) => err).join("")).toContain("is not empty");
  const alone = join(folder, "alone");
  const seed = runs[0]!.code === 0 ? "1" : "2";
  await world("render", "--people", "1", "--pictures", "2", "--side", "32", "--seed", seed, "--out", alone, "--quiet");
  for (const name of await readdir(alone))
    expect((await readFile(join(folder, "faces", name))).equals(await readFile(join(alone, name))), name).toBe(true);
});
