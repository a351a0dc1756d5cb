import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { decodePhoto } from "../image/index.ts";
import { classWordAt } from "../minifaces/index.ts";
import { PhotoMaker } from "../pipeline/index.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { openTensors } from "../weights/index.ts";
import { realPictures, type SamplingOptions } from "./benchmark.ts";
import { openJudge } from "./judge-session.ts";
import { drawnPortraits } from "./portraits.ts";
import { dot } from "./score.ts";
import { testSet } from "./test-set.ts";

const root = join(import.meta.dirname, "../..");
const MINIATURE = join(root, "assets/miniature");
const [SEED, PEOPLE, STEPS] = [2, 4, 12];

const cache = await mkdtemp(join(tmpdir(), "speed-options-"));
vi.stubEnv("PHOTOMAKER_CACHE", cache);
const model = { model: MINIATURE, adapter: join(MINIATURE, "photomaker-v1.safetensors"), threads: 1 };
const [exact, rounded] = [await PhotoMaker.load(model), await PhotoMaker.load({ ...model, precision: "int8" })];
const runtime = ortRuntime({ threads: 1 });
afterAll(async () => {
  await Promise.all([exact.close(), rounded.close(), runtime.close()]);
  await rm(cache, { recursive: true });
});

const set = testSet({ seed: SEED, people: PEOPLE, pictures: 2 });
const cases = set.cases.filter(({ photo }) => photo);
const { tensors } = await openTensors(join(root, "assets/judge/weights.safetensors"));
const look = await openJudge(runtime, tensors);
/** The judge's embeddings of each person's album. */
const albums: Float32Array[][] = [];
for (const [i, scenes] of set.albums.entries()) {
  const verdicts = await look(await realPictures(scenes.map((scene) => [set.persons[i]!, scene])));
  albums.push(verdicts.map(({ embedding }) => embedding));
}
const tokens = await Promise.all(
  set.persons.map(async (_, i) => exact.encodeIdImages([...(await drawnPortraits(SEED, i, 4)).pngs], { idCrop: "off" })),
);

/** Generates the pictures of all cases. @param shift takes the ID images of the person so many places further on */
async function draw(pm: PhotoMaker, sampling: SamplingOptions = {}, shift = 0): Promise<Uint8Array[]> {
  const requests = cases.map(({ person, scene, prompt, seed }) => {
    const word = classWordAt(set.persons[person]!, scene);
    const marked = prompt.replace(new RegExp(`\\b${word}\\b`), `${word} img`);
    const idTokens = tokens[(person + shift) % PEOPLE]!;
    const how = { numInferenceSteps: STEPS, guidanceScale: 3, startMergeStep: 0, decoder: "vae" as const, ...sampling };
    return { prompt: marked, seed, idTokens, ...how };
  });
  const made = await pm.generateTogether(requests);
  return Promise.all(made.map(async ({ images: [image] }) => (await decodePhoto(image!.png)).data));
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const difference = (a: readonly Uint8Array[], b: readonly Uint8Array[]): number =>
  mean(a.map((picture, i) => mean(Array.from(picture, (v, k) => Math.abs(v - b[i]![k]!)))));

/** Mean cosine to the own person's album minus that to other people's. */
async function identity(pictures: readonly Uint8Array[]): Promise<number> {
  const verdicts = await look(pictures);
  const near = verdicts.map(({ embedding }, i) => {
    const to = albums.map((album) => mean(album.map((other) => dot(embedding, other))));
    const own = to.splice(cases[i]!.person, 1)[0]!;
    return own - mean(to);
  });
  return mean(near);
}

const reference = await draw(exact);
const stranger = await draw(exact, {}, 1);
const [expected, apart] = [await identity(reference), difference(stranger, reference)];
const kept = async (pictures: readonly Uint8Array[]) => ({
  identity: (await identity(pictures)) / expected,
  difference: difference(pictures, reference) / apart,
});

/** Limits that docs/faster.md states for an option: flags, identity kept, difference; the last two in percent. */
const STATED = /^\| `(--[^`]+)` \| at least (\d+)% \| at most (\d+)% \|$/gm;
const stated = [...(await readFile(join(root, "docs/faster.md"), "utf8")).matchAll(STATED)].map(
  ([, flags, least, most]) => [flags!, Number(least) / 100, Number(most) / 100] as const,
);
const FLAGS = {
  "--deep-cache": "deepCache",
  "--t-gate": "tGate",
  "--token-downsampling": "tokenDownsampling",
  "--guidance-end": "guidanceEnd",
} as const;

function drawWith(flags: string): Promise<Uint8Array[]> {
  if (flags === "--precision int8") return draw(rounded);
  const pairs = flags.split(/ (?=--)/).map((pair) => {
    const [flag, value] = pair.split(" ") as [keyof typeof FLAGS, string];
    return [FLAGS[flag], Number(value)];
  });
  return draw(exact, Object.fromEntries(pairs));
}

test("every option has a stated cost, and another person's ID images exceed each", async () => {
  const named = stated.map(([flags]) => flags).join(" ");
  for (const flag of [...Object.keys(FLAGS), "--precision int8"]) expect(named).toContain(flag);
  const other = await kept(stranger);
  for (const [, least, most] of stated) {
    expect(other.identity).toBeLessThan(least - 0.5);
    expect(other.difference).toBeGreaterThan(most);
  }
  expect(expected).toBeGreaterThan(0.3); // the miniature does draw the person
});

test.each(stated)("%s keeps the miniature's identity within its stated cost", async (flags, least, most) => {
  const pictures = await drawWith(flags);
  const { identity, difference } = await kept(pictures);
  expect(identity).toBeGreaterThanOrEqual(least);
  expect(difference).toBeLessThanOrEqual(most);
  expect(pictures).not.toEqual(reference); // the option does something
});

test("with all options off, the pictures are the reference's, whatever came before", async () => {
  expect(exact.runsOn.precision).toBe("f32");
  await draw(exact, { tGate: 6, tokenDownsampling: 2 });
  expect(await draw(exact, { deepCache: 1, tokenDownsampling: 1, guidanceEnd: 1 })).toEqual(reference);
  expect(await draw(exact)).toEqual(reference);
});
