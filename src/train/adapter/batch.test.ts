import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { FloatArray } from "../../core/array.ts";
import { clipNormalise, decodePhoto, encodePng, rgb8 } from "../../image/index.ts";
import type { Feeds } from "../../runtime/runtime.ts";
import { sdxlTokenizer } from "../../text/tokenizer-folder.node.ts";
import { type TrainingPerson, type TrainingPhoto, trainingPhotos } from "../photos/training-photos.ts";
import { adapterBatch, type BatchSource } from "./batch.ts";
import { type AdapterConfig, adapterConfig } from "./config.ts";

vi.mock("../../image/index.ts", async (original) => {
  const image = await original<typeof import("../../image/index.ts")>();
  return { ...image, decodePhoto: vi.fn(image.decodePhoto) };
});

/** A photo of one colour whose mask covers one side, and the values a batch must have for it, worked out by hand. */
interface Known {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly colour: readonly [number, number, number];
  readonly side: keyof typeof SIDES;
  readonly caption: string;
  /** SDXL's size conditioning: height, width; top and left of the centre crop in the resized photo; the crop's side, twice. */
  readonly timeIds: readonly number[];
  /** Token ids of the caption: before the class word, the class word, after it. */
  readonly tokens: readonly [readonly number[], number, readonly number[]];
}
/** Whether a position (0 to 1) lies under the mask. */
const SIDES = {
  left: (x: number, _: number) => x < 0.5,
  right: (x: number, _: number) => x > 0.5,
  top: (_: number, y: number) => y < 0.5,
  bottom: (_: number, y: number) => y > 0.5,
};
const [START, END, WOMAN, MAN] = [49406, 49407, 2308, 786];
const KNOWN: readonly Known[] = [
  {
    name: "anna/0",
    width: 24,
    height: 48,
    colour: [250, 10, 20],
    side: "left",
    caption: "a woman in red",
    timeIds: [48, 24, 8, 0, 16, 16], // resized to 16x32
    tokens: [[START, 320], WOMAN, [530, 736, END]],
  },
  {
    name: "anna/1",
    width: 60,
    height: 20,
    colour: [30, 240, 40],
    side: "right",
    caption: "a woman in blue",
    timeIds: [20, 60, 0, 16, 16, 16], // resized to 48x16
    tokens: [[START, 320], WOMAN, [530, 1746, END]],
  },
  {
    name: "anna/2",
    width: 32,
    height: 32,
    colour: [50, 60, 230],
    side: "top",
    caption: "a woman in green",
    timeIds: [32, 32, 0, 0, 16, 16],
    tokens: [[START, 320], WOMAN, [530, 1901, END]],
  },
  {
    name: "bert/0",
    width: 20,
    height: 50,
    colour: [200, 190, 180],
    side: "bottom",
    caption: "a man at sea",
    timeIds: [50, 20, 12, 0, 16, 16], // resized to 16x40
    tokens: [[START, 320], MAN, [536, 2102, END]],
  },
  {
    name: "bert/1",
    width: 36,
    height: 36,
    colour: [90, 100, 110],
    side: "left",
    caption: "a man at home",
    timeIds: [36, 36, 0, 0, 16, 16],
    tokens: [[START, 320], MAN, [536, 1137, END]],
  },
];
/** Side of the latents, and of the ID encoder's input. */
const SIDE = 8;
const AREA = SIDE * SIDE;
const [CHANNELS, IMAGES, LENGTH, BATCH] = [2, 2, 12, 3];
const PADS = [END, 0] as const; // of SDXL's two tokenizers
const READERS = (["tokenizer", "tokenizer_2"] as const).map((name, i) => ({
  tokenizer: sdxlTokenizer(name),
  window: { length: LENGTH, pad: PADS[i]! },
})) as unknown as BatchSource["readers"];
const ALPHAS = Float32Array.of(0.99, 0.9, 0.5, 0.1);

let root: string;
let people: readonly TrainingPerson[];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "batch-"));
  for (const { name, width, height, colour, side, caption } of KNOWN) {
    const painted = (value: (x: number, y: number) => readonly number[]) => {
      const pixels = Array.from({ length: width * height }, (_, i) => value((i % width) + 0.5, Math.floor(i / width) + 0.5));
      return encodePng(rgb8(width, height, Uint8Array.from(pixels.flat())));
    };
    const inside = (x: number, y: number) => SIDES[side](x / width, y / height);
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, `${name}.png`), await painted(() => colour));
    await writeFile(join(root, `${name}.mask.png`), await painted((x, y) => (inside(x, y) ? [255, 255, 255] : [0, 0, 0])));
    await writeFile(join(root, `${name}.txt`), caption);
  }
  ({ people } = await trainingPhotos(root, { masks: true, trigger: "img" }));
});
afterAll(() => rm(root, { recursive: true }));

/** Latents whose values identify the photo and the position in it. */
const latentsOf = (known: Known): Float32Array =>
  Float32Array.from({ length: CHANNELS * AREA }, (_, i) => KNOWN.indexOf(known) * 1000 + i);
const knownOf = ({ path }: TrainingPhoto): Known => KNOWN.find(({ name }) => path === join(root, `${name}.png`))!;

function source(config: Partial<AdapterConfig> = {}, more: Partial<BatchSource> = {}): BatchSource {
  const text = { endToken: END } as BatchSource["text"][0];
  return {
    config: adapterConfig({ resolution: 16, batch: BATCH, idImages: IMAGES, seed: 3, nullText: 0, maskedLoss: 0, ...config }),
    people,
    latents: { channels: CHANNELS, side: SIDE, encode: async () => {}, of: async (photo) => latentsOf(knownOf(photo)) },
    readers: READERS,
    text: [text, text],
    emptyPromptIsZeros: true,
    prediction: "epsilon",
    alphasCumprod: ALPHAS,
    image: SIDE,
    ...more,
  };
}
const at = (step: number, worker = 0, micro = 0) => ({ step, worker, micro });

/** One sample of a batch: its row of each input. */
interface Row {
  readonly known: Known;
  readonly ids: readonly Known[];
  readonly timestep: number;
  part(name: string): number[];
  /** Values of ID image n, [3, SIDE, SIDE]. */
  pixels(n: number): number[];
}
function rowsOf(feeds: Feeds): Row[] {
  return Array.from({ length: BATCH }, (_, row): Row => {
    const part = (name: string): number[] => {
      const data = Array.from((feeds[name] as FloatArray).data, Number);
      return data.slice((row * data.length) / BATCH, ((row + 1) * data.length) / BATCH);
    };
    const pixels = (n: number) => part("pixels").slice(n * 3 * AREA, (n + 1) * 3 * AREA);
    const shown = Array.from({ length: IMAGES }, (_, n) => pixels(n)).filter((each) => each.some((v) => v !== 0));
    const known = KNOWN[Math.floor(part("latents")[0]! / 1000)]!;
    const ids = shown.map((each) => KNOWN.find((one) => showsPerson(each, one))!);
    return { known, ids, timestep: part("timestep")[0]!, part, pixels };
  });
}
/** Pixels where a mask is certainly white, or certainly black: more than two from its edge. */
const sure = ({ side }: Known, white: boolean): number[] =>
  Array.from({ length: AREA }, (_, i) => i).filter((i) => {
    const [x, y] = [(i % SIDE) + 0.5, Math.floor(i / SIDE) + 0.5];
    const across = side === "left" || side === "right" ? x : y;
    return Math.abs(across - SIDE / 2) > 2 && SIDES[side](x / SIDE, y / SIDE) === white;
  });
const normal = ({ colour }: Known): number[] => [...clipNormalise(rgb8(1, 1, Uint8Array.from(colour)))];
const showsPerson = (pixels: readonly number[], known: Known): boolean =>
  sure(known, true).every((i) => normal(known).every((v, channel) => Math.abs(pixels[channel * AREA + i]! - v) < 0.02));

/** All samples of several steps. */
async function samples(from: BatchSource, steps = 15): Promise<Row[]> {
  const rows: Row[] = [];
  for (let step = 0; step < steps; step++) rows.push(...rowsOf(await adapterBatch(from, at(step))));
  return rows;
}
let plain: readonly Row[];
beforeAll(async () => {
  plain = await samples(source(), 30);
});
const share = (rows: readonly Row[], of: (row: Row) => boolean): number => rows.filter(of).length / rows.length;

test("a sample has latents, sizes and caption of one photo, and other photos of the same person as ID images", async () => {
  for (const { known, ids, part, pixels } of plain) {
    const person = dirname(known.name);
    expect(ids.every((id) => id !== undefined && id !== known && dirname(id.name) === person)).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
    expect(part("latents")).toEqual([...latentsOf(known)]);
    expect(part("timeIds")).toEqual(known.timeIds);
    // the class word is repeated for each ID image, each at its own position
    const [before, word, after] = known.tokens;
    const tokens = [...before, ...ids.map(() => word), ...after];
    const filled = (pad: number) => Array.from({ length: LENGTH }, (_, i) => tokens[i] ?? pad);
    expect(part("ids")).toEqual(filled(PADS[0]));
    expect(part("ids2")).toEqual(filled(PADS[1]));
    expect(part("endAt")).toEqual([tokens.length - 1]);
    const places = new Float32Array(LENGTH * IMAGES);
    for (const n of ids.keys()) places[(before.length + n) * IMAGES + n] = 1;
    expect(part("places")).toEqual([...places]);
    for (let n = ids.length; n < IMAGES; n++) expect(pixels(n).every((v) => v === 0)).toBe(true);
    expect(part("keep")).toEqual([1]);
  }
  for (const known of KNOWN) expect(share(plain, (row) => row.known === known)).toBeGreaterThan(0.1);
  const ofAnna = plain.filter(({ known }) => known.tokens[1] === WOMAN);
  for (const count of [1, 2]) expect(share(ofAnna, ({ ids }) => ids.length === count)).toBeGreaterThan(0.3);
  for (const known of KNOWN.slice(0, 3)) expect(share(ofAnna, ({ ids }) => ids.includes(known))).toBeGreaterThan(0.3);
  for (const known of KNOWN.slice(0, 3)) expect(share(ofAnna, ({ ids }) => ids[0] === known)).toBeGreaterThan(0.2);
});

test("the target photo is not decoded again: its latents and size are known", async () => {
  const from = source({ maskedLoss: 1 });
  vi.mocked(decodePhoto).mockClear();
  const rows = rowsOf(await adapterBatch(from, at(0)));
  const decoded = vi.mocked(decodePhoto).mock.calls.map(([path]) => path);
  const photo = ({ name }: Known) => join(root, `${name}.png`);
  const mask = ({ name }: Known) => join(root, `${name}.mask.png`);
  const wanted = rows.flatMap(({ known, ids }) => [mask(known), ...ids.flatMap((id) => [mask(id), photo(id)])]);
  expect(decoded.sort()).toEqual(wanted.sort());
});

test("the background of an ID image is noise, different in each", async () => {
  const seen = new Set<string>();
  let count = 0;
  const values: number[] = [];
  for (const { ids, pixels } of plain)
    for (const [n, known] of ids.entries()) {
      const outside = sure(known, false).map((i) => pixels(n)[i]!); // the red channel
      seen.add(String(outside));
      values.push(...outside);
      count++;
    }
  expect(seen.size).toBe(count);
  // uniform between 0 and 255: mean and standard deviation of the normalised values
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
  expect(mean).toBeCloseTo((0.5 - 0.48145466) / 0.26862954, 1);
  expect(deviation).toBeCloseTo(Math.sqrt(1 / 12) / 0.26862954, 1);
});

test("without masks, ID images keep their background and no loss is masked", async () => {
  const { people: bare } = await trainingPhotos(root, { masks: false, trigger: "img" });
  for (const { ids, part, pixels } of await samples(source({ maskedLoss: 1 }, { people: bare }), 5)) {
    for (const [n, id] of ids.entries()) expect(pixels(n)).toEqual(normal(id).flatMap((v) => Array<number>(AREA).fill(v)));
    expect(part("weight")).toEqual(Array(AREA).fill(1));
  }
});

test("a masked loss weighs only the person's side of its photo, with mean 1; as many samples are masked as configured", async () => {
  const masked = ({ known, part }: Row): boolean => {
    const weight = part("weight");
    if (weight.every((v) => v === 1)) return false;
    for (const i of sure(known, true)) expect(weight[i]).toBeCloseTo(2, 1);
    for (const i of sure(known, false)) expect(weight[i]).toBe(0);
    expect(weight.reduce((a, b) => a + b, 0) / AREA).toBeCloseTo(1, 5);
    return true;
  };
  expect(share(await samples(source({ maskedLoss: 1 })), masked)).toBe(1);
  expect(share(plain, masked)).toBe(0);
  expect(Math.abs(share(await samples(source({ maskedLoss: 0.25 }), 30), masked) - 0.25)).toBeLessThan(0.1);
});

test("text is dropped as often as configured: to zeros if the model encodes an empty prompt as zeros, else to an empty prompt", async () => {
  const zeros = ({ part }: Row): boolean => part("keep")[0] === 0;
  expect(share(await samples(source({ nullText: 1 }), 5), zeros)).toBe(1);
  expect(Math.abs(share(await samples(source({ nullText: 0.25 }), 30), zeros) - 0.25)).toBeLessThan(0.1);

  const empty = (pad: number) => [START, END, ...Array<number>(LENGTH - 2).fill(pad)];
  const isEmpty = ({ part }: Row): boolean => {
    expect(part("keep")).toEqual([1]);
    if (part("ids")[1] !== END) return false;
    expect(part("ids")).toEqual(empty(PADS[0]));
    expect(part("ids2")).toEqual(empty(PADS[1]));
    expect(part("endAt")).toEqual([1]);
    expect(part("places").every((v) => v === 0)).toBe(true);
    return true;
  };
  expect(share(await samples(source({ nullText: 1 }, { emptyPromptIsZeros: false }), 5), isEmpty)).toBe(1);
  const some = await samples(source({ nullText: 0.25 }, { emptyPromptIsZeros: false }), 30);
  expect(Math.abs(share(some, isEmpty) - 0.25)).toBeLessThan(0.1);
});

test("min-SNR weighs each sample by its own timestep, masked or not", async () => {
  // gamma 5; SNR is 99, 9, 1 and 1/9
  const factors = { epsilon: [5 / 99, 5 / 9, 1, 1], v_prediction: [5 / 100, 5 / 10, 1 / 2, 1 / 10] };
  for (const prediction of ["epsilon", "v_prediction"] as const) {
    const without = await samples(source({ maskedLoss: 0.5 }, { prediction }), 6);
    const weighted = await samples(source({ maskedLoss: 0.5, minSnrGamma: 5 }, { prediction }), 6);
    for (const [i, { part, timestep }] of weighted.entries())
      expect(part("weight")).toMatchGolden(
        without[i]!.part("weight").map((v) => v * factors[prediction][timestep]!),
        1e-5,
      );
    expect(new Set(weighted.map(({ timestep }) => timestep)).size).toBe(4);
  }
});

test("noise is standard normal, different for each sample, and as strong as the sample's timestep demands", async () => {
  for (const { timestep, part } of plain) {
    expect(part("signal")[0]).toBeCloseTo(Math.sqrt([0.99, 0.9, 0.5, 0.1][timestep]!), 6);
    expect(part("sigma")[0]).toBeCloseTo(Math.sqrt([0.01, 0.1, 0.5, 0.9][timestep]!), 6);
  }
  const all = plain.flatMap(({ part }) => part("noise"));
  const mean = all.reduce((a, b) => a + b, 0) / all.length;
  expect(Math.abs(mean)).toBeLessThan(0.03);
  expect(Math.abs(all.reduce((a, b) => a + b * b, 0) / all.length - 1)).toBeLessThan(0.04);
  expect(new Set(plain.map(({ part }) => part("noise")[0])).size).toBe(plain.length);
});

test("a batch depends only on seed, step, worker and micro-batch; with overfitBatches the first ones repeat", async () => {
  const first = await adapterBatch(source(), at(4));
  expect(await adapterBatch(source(), at(4))).toEqual(first);
  for (const [config, other] of [
    [{ seed: 4 }, at(4)],
    [{}, at(5)],
    [{}, at(4, 1)],
    [{}, at(4, 0, 1)],
  ] as const)
    expect((await adapterBatch(source(config), other)).noise).not.toEqual(first.noise);
  const again = source({ overfitBatches: 3 });
  expect(await adapterBatch(again, at(7))).toEqual(await adapterBatch(again, at(1)));
  expect(await adapterBatch(again, at(1))).toEqual(await adapterBatch(source(), at(1)));
});
