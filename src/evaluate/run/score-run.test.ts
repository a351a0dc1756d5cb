import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import type { Detection, FaceNetworks, FivePoints } from "../../faces/face.ts";
import type { Rgb8 } from "../../image/rgb8.ts";
import { ortRuntime } from "../../runtime/node/ort-runtime.ts";
import { goldenPath } from "../../testing/golden.ts";
import { goldenJson } from "../../testing/tensors.ts";
import { withoutWord } from "./picture-list.node.ts";
import { readScores } from "./read-scores.node.ts";
import { scoreRun } from "./score-run.node.ts";
import { compareScores, type Scores } from "./scores.ts";

const runtime = ortRuntime({ threads: 1 });
const folders: string[] = [];
afterAll(async () => {
  await runtime.close();
  for (const folder of folders) await rm(folder, { recursive: true });
});

const golden = (...parts: string[]): string => goldenPath("evaluate", ...parts);
const clipFolder = dirname(golden("clip", "config.json"));
const networks = {
  clip: clipFolder,
  dino: dirname(golden("dino", "config.json")),
  inception: golden("inception", "model.safetensors"),
  lpips: { trunk: golden("lpips", "alex", "trunk.safetensors"), lin: golden("lpips", "alex", "lin.pth") },
};
const picture = (n: number): string => golden("clip", goldenJson("evaluate/clip/expected.json").pictures[n]);
const prompts = goldenJson("evaluate/clip/expected.json").prompts as string[];

let computed = 0;
/** Networks that see one face in every picture that is wider than 50 pixels, and know people by a picture's size. */
const faces: { networks: Pick<FaceNetworks, "detect" | "embed">; name: string } = {
  name: "made-up",
  networks: {
    detect: async ({ width, height }: Rgb8): Promise<Detection[]> => {
      computed++;
      const box = { left: 5, top: 5, right: width - 5, bottom: height - 5 };
      const small = { left: 0, top: 0, right: 4, bottom: 4 };
      const points = [
        [1, 1],
        [2, 1],
        [1, 2],
        [1, 3],
        [2, 3],
      ] as unknown as FivePoints;
      return width > 50
        ? [
            { box: small, points, score: 0.99 },
            { box, points, score: 0.9 },
          ]
        : [];
    },
    embed: async ({ width, height }) => Float32Array.of(width, height, 1),
  },
};

interface Line {
  readonly file: string;
  readonly person: string;
  readonly prompt: string;
  readonly seed: number;
}

let run: string;
let people: string;
const list = (lines: readonly Line[]) =>
  writeFile(join(run, "pictures.jsonl"), lines.map((line) => JSON.stringify(line)).join("\n"));
const lines: Line[] = [
  { file: "0.png", person: "anna", prompt: prompts[0]!.replace("woman", "woman img"), seed: 1 },
  { file: "1.png", person: "anna", prompt: prompts[0]!, seed: 2 },
  { file: "2.png", person: "bert", prompt: prompts[1]!, seed: 1 },
  { file: "3.png", person: "bert", prompt: prompts[1]!, seed: 2 },
];

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), "score-"));
  folders.push(folder);
  [run, people] = [join(folder, "run"), join(folder, "real")];
  for (const path of [run, join(people, "anna", "id"), join(people, "bert")]) await mkdir(path, { recursive: true });
  for (let i = 0; i < 4; i++) await copyFile(picture(i), join(run, `${i}.png`));
  await copyFile(picture(0), join(people, "anna", "id", "given.png"));
  await copyFile(picture(1), join(people, "anna", "a.png"));
  await copyFile(picture(2), join(people, "bert", "b.png"));
  await list(lines);
  computed = 0;
});

const score = (more: object = {}): Promise<Scores> => scoreRun({ run, people, runtime, ...networks, faces, ...more });

test("a run is measured, and the figures are those of the measures themselves", async () => {
  const scores = await score({ reference: people });
  const expected = goldenJson("evaluate/clip/expected.json");
  const wanted = expected["CLIP-T of picture i with prompt i modulo their number, times 100"] as number[];
  const value = (n: number) => scores.pictures[n]!.values;
  expect(value(0).clipT).toBeCloseTo(wanted[0]!, 3); // the trigger word is taken out
  expect(value(1).clipI).toBeCloseTo(100, 4); // anna's other picture is this one; what was given to the model is not compared with
  expect(value(0).clipI).toBeLessThan(99.9);
  expect(value(2).dino).toBeCloseTo(100, 4);
  expect([value(1).faceSim, value(1).rank1]).toEqual([expect.closeTo(1, 5), 1]);
  // the fourth picture is narrow, and has no face
  expect([value(3).faceSim, value(3).rank1]).toEqual([null, 0]);
  expect(scores.figures.faceSim!.missing).toBe(1);
  expect(scores.figures.faceSimAll!.value).toBeLessThan(scores.figures.faceSim!.value);
  expect(scores.pairs.faceDiversity).toHaveLength(1); // two faces of one prompt are there of anna alone
  expect(scores.pairs.faceDiversity![0]!.value).toBeGreaterThan(0);
  expect(scores.quality).toEqual({ withoutFace: 0.25, severalFaces: 0.75, smallFace: expect.any(Number) });
  expect(scores.sets).toMatchObject({ pictures: 4, reference: 3, fid: expect.any(Number), cmmd: expect.any(Number) });
  expect(scores.leftOut).toEqual([{ what: "KID", why: "there are 4 pictures and 3 of reference, too few" }]);
  expect(await readScores(run)).toEqual(JSON.parse(JSON.stringify(scores)));
});

test("features are kept: a second scoring computes new and changed pictures alone", async () => {
  const first = await score();
  const before = computed;
  expect(before).toBe(4); // the real pictures are copies of three of them
  expect(await score()).toEqual(first);
  expect(computed).toBe(before);
  await copyFile(picture(3), join(run, "0.png")); // changed: a copy of a known one
  await copyFile(golden("lpips", "0a.png"), join(run, "1.png")); // changed: a new one
  await score();
  expect(computed).toBe(before + 1);
  expect((await readdir(join(run, "features"))).map((name) => name.replace(/-.*/, "")).sort()).toEqual(["clip", "dino", "faces"]);
});

test("what cannot be measured is named and counted, and the rest is measured", async () => {
  await list([
    ...lines,
    { file: "gone.png", person: "anna", prompt: "x", seed: 3 },
    { file: "bad.png", person: "carl", prompt: "y", seed: 1 },
    { file: "c.png", person: "carl", prompt: "y", seed: 2 },
  ]);
  await writeFile(join(run, "bad.png"), "no picture");
  await copyFile(golden("lpips", "0b.png"), join(run, "c.png"));
  const scores = await score({ dino: undefined, inception: undefined });
  const left = scores.leftOut.map(({ what }) => what);
  expect(left).toEqual(expect.arrayContaining(["gone.png", "bad.png", "carl", "DINO", "FID, KID"]));
  expect(scores.pictures).toHaveLength(5);
  const carl = scores.pictures.find(({ person }) => person === "carl")!;
  expect(carl.values.clipT).toBeTypeOf("number");
  expect(carl.values).not.toHaveProperty("clipI");
  expect(scores.figures.clipI!.people).toBe(2);
  expect(scores.figures.dino).toBeUndefined();
});

test("lists and folders that cannot be used are refused", async () => {
  await expect(score({ people: run })).rejects.toMatchObject({ code: "evaluate/no-people" });
  await expect(score({ reference: join(people, "anna", "nobody") })).rejects.toMatchObject({ code: "evaluate/no-pictures" });
  await expect(score({ run: people })).rejects.toMatchObject({ code: "evaluate/no-list" });
  for (const [text, why] of [
    ["{", "line 1 is no picture"],
    ['{"file": "a.png", "prompt": "x"}', "person"],
    ["\n", "it lists no picture"],
    [`${JSON.stringify(lines[0])}\n${JSON.stringify(lines[0])}`, "line 2 names 0.png again"],
  ] as const) {
    await writeFile(join(run, "pictures.jsonl"), text);
    await expect(score()).rejects.toMatchObject({ code: "evaluate/list", message: expect.stringContaining(why) });
  }
  await list([{ ...lines[0]!, file: "gone.png" }]);
  await expect(score()).rejects.toMatchObject({ code: "evaluate/no-pictures" });
  await expect(readScores(run)).rejects.toMatchObject({ code: "evaluate/no-scores" });
  await writeFile(join(run, "scores.json"), "{}");
  await expect(readScores(run)).rejects.toMatchObject({ code: "evaluate/no-scores" });
});

test("two runs are compared person by person, and runs of another plan or network are refused", async () => {
  const first = await score();
  for (const i of [0, 1]) await copyFile(picture(2), join(run, `${i}.png`));
  const second = await score();
  const comparison = compareScores(first, second);
  expect(Math.abs(comparison.clipI!.ofPeople[0]!)).toBeGreaterThan(1);
  expect(comparison.clipI!.ofPeople[1]).toBe(0);
  expect(comparison.clipI!.value).toBeCloseTo(second.figures.clipI!.value - first.figures.clipI!.value, 9);
  const same = compareScores(first, first);
  expect([same.clipT!.value, same.clipT!.p]).toEqual([0, 1]);

  const codeOf = (a: Scores, b: Scores) => {
    try {
      compareScores(a, b);
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  expect(codeOf(first, { ...second, pictures: second.pictures.slice(1) })).toBe("evaluate/other-plan");
  expect(codeOf(first, { ...second, networks: { ...second.networks, clip: "0000" } })).toBe("evaluate/other-networks");
  expect(codeOf(first, { ...second, figures: {} })).toBe("evaluate/nothing-shared");
});

test("scores.json holds each value, and what measured it", async () => {
  await score();
  const json = JSON.parse(await readFile(join(run, "scores.json"), "utf8"));
  expect(Object.keys(json.networks).sort()).toEqual(["clip", "dino", "faces", "lpips"]);
  expect(json.pictures[0]).toMatchObject({
    file: "0.png",
    person: "anna",
    seed: 1,
    hash: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
});

test.each([
  ["a woman img in the snow", "a woman in the snow"],
  ["a woman img, oil painting", "a woman, oil painting"],
  ["img of a man img.", "of a man."],
  ["an imgage of a man", "an imgage of a man"],
])("the trigger word is taken out of %j", (prompt, expected) => {
  expect(withoutWord(prompt, "img")).toBe(expected);
});
