import type { GenerateResult } from "../contract/events.ts";
import type { GenerateInput } from "../contract/request.ts";
import type { FloatArray } from "../core/array.ts";
import { decodePhoto, type Rgb8 } from "../image/index.ts";
import { classWordAt, type DrawnPerson, renderPicture, type Scene } from "../minifaces/index.ts";
import type { PhotoMaker } from "../pipeline/photomaker.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Tensors } from "../weights/index.ts";
import { SIDE } from "./configs.ts";
import { type Judge, openJudge, type Verdict } from "./judge-session.ts";
import { drawnPortraits, type PortraitGround } from "./portraits.ts";
import { type AdapterFigures, type Statistics, score, statistics } from "./score.ts";
import { type TestCase, type TestSet, testSet } from "./test-set.ts";

/** A PhotoMaker, as far as it generates pictures. */
export interface Drawer {
  generateTogether(
    requests: readonly GenerateInput[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): PromiseLike<readonly Pick<GenerateResult, "images">[]>;
}
export type IdModel = Drawer & Pick<PhotoMaker, "encodeIdImages">;

export interface BenchmarkOptions {
  readonly judge: Tensors;
  readonly runtime: Runtime;
  readonly people: number;
  /** Seed of the people, other than training's. */
  readonly seed: number;
  /** Photos to generate per person, in addition to one picture in another style. */
  readonly pictures: number;
  readonly steps: number;
  readonly guidanceScale: number;
  /** Scheduler; by default the model's own. */
  readonly scheduler?: GenerateInput["scheduler"];
  readonly signal?: AbortSignal | undefined;
  readonly onPictures?: ((more: number) => void) | undefined;
}

/** How a person is given to an adapter. */
export interface IdUse {
  readonly idImages: number;
  readonly startMergeStep: number;
  /** Background of the ID images. */
  readonly ground?: PortraitGround;
  /** Makes a person's ID images; by default they are portraits on that background. @returns PNG files */
  readonly images?: (person: number) => Promise<readonly Uint8Array<ArrayBuffer>[]>;
  /** Combines the tokens of a person's ID images; by default they are stacked. */
  readonly compose?: (tokens: FloatArray) => FloatArray;
}

/** Sampling options that override the benchmark's. */
export type SamplingOptions = Pick<
  GenerateInput,
  "numInferenceSteps" | "deepCache" | "tGate" | "tokenDownsampling" | "guidanceEnd"
>;

export interface MeasuredAdapter {
  readonly figures: AdapterFigures;
  /** The figures as functions of people, for comparison with others of this benchmark. */
  readonly statistics: Statistics;
  /** Generated pictures, one per case, as they were generated. */
  readonly pictures: readonly Rgb8[];
}

/** A test set with everything that does not depend on the adapter. */
export interface Benchmark {
  readonly set: TestSet;
  readonly look: Judge;
  /** Real pictures of the cases. */
  readonly real: readonly Uint8Array[];
  /** Mean embedding of each person's album. */
  readonly albums: readonly Float32Array[];
  /** Measures an adapter. Pictures without an adapter, one end of the scales, always use the benchmark's options, whatever `sampling` is. */
  measure(model: IdModel, use: IdUse, sampling?: SamplingOptions): Promise<MeasuredAdapter>;
}

const AT_ONCE = 32;
const TRIGGER = "img";

/**
 * Generates the test set without an adapter and judges it and real pictures; then any adapter of the same base can be measured.
 * The judge shares nothing with the model.
 * @param without the base model alone
 * @throws UserError evaluate/training-seed
 */
export async function openBenchmark(options: BenchmarkOptions, without: Drawer): Promise<Benchmark> {
  const set = testSet(options);
  const look = await openJudge(options.runtime, options.judge);
  const albums: Float32Array[] = [];
  for (const [i, scenes] of set.albums.entries())
    albums.push(meanEmbedding(await look(await realPictures(scenes.map((scene) => [set.persons[i]!, scene])))));
  const real = await realPictures(set.cases.map(({ person, scene }) => [set.persons[person]!, scene]));
  const seen = await look(real);
  const none = await look((await draw(without, set.cases, options, ({ prompt }) => ({ prompt }))).map(averaged));
  return {
    set,
    look,
    real,
    albums,
    async measure(model, use, sampling = {}) {
      const pictures = await drawPeople(model, set, use, options, sampling);
      const verdicts = { real: seen, none, ours: await look(pictures.map(averaged)) };
      return { pictures, figures: score(set, albums, verdicts), statistics: statistics(set, albums, verdicts) };
    },
  };
}

async function drawPeople(
  model: IdModel,
  set: TestSet,
  use: IdUse,
  options: BenchmarkOptions,
  sampling: SamplingOptions,
): Promise<Rgb8[]> {
  const { idImages, startMergeStep, ground, compose = (tokens) => tokens } = use;
  const images = use.images ?? (async (person) => (await drawnPortraits(set.seed, person, idImages, ground)).pngs);
  const tokens: FloatArray[] = [];
  for (let person = 0; person < set.persons.length; person++) {
    tokens.push(compose(await model.encodeIdImages([...(await images(person))], { idCrop: "off" })));
  }
  return draw(model, set.cases, options, ({ prompt, person, scene }) => {
    const word = classWordAt(set.persons[person]!, scene);
    const marked = prompt.replace(new RegExp(`\\b${word}\\b`), `${word} ${TRIGGER}`);
    return { prompt: marked, idTokens: tokens[person]!, startMergeStep, ...sampling };
  });
}

async function draw(
  model: Drawer,
  cases: readonly TestCase[],
  { steps, guidanceScale, scheduler, signal, onPictures }: BenchmarkOptions,
  more: (one: TestCase) => Pick<GenerateInput, "prompt" | "idTokens" | "startMergeStep"> & SamplingOptions,
): Promise<Rgb8[]> {
  const pictures: Rgb8[] = [];
  for (let from = 0; from < cases.length; from += AT_ONCE) {
    const some = cases.slice(from, from + AT_ONCE);
    const requests = some.map((one) => ({ seed: one.seed, numInferenceSteps: steps, guidanceScale, scheduler, ...more(one) }));
    for (const {
      images: [image],
    } of await model.generateTogether(requests, { signal }))
      pictures.push(await decodePhoto(image!.png));
    onPictures?.(some.length);
  }
  return pictures;
}

/** A picture of SIDE, as the judge takes it: means of blocks of a larger one. */
function averaged({ width, data }: Rgb8): Uint8Array {
  const factor = width / SIDE;
  if (factor === 1) return data;
  const out = new Uint8Array(SIDE * SIDE * 3);
  for (let i = 0; i < out.length; i++) {
    const [row, column, c] = [Math.floor(i / (SIDE * 3)), Math.floor(i / 3) % SIDE, i % 3];
    let sum = 0;
    for (let y = 0; y < factor; y++)
      for (let x = 0; x < factor; x++) sum += data[((row * factor + y) * width + column * factor + x) * 3 + c]!;
    out[i] = Math.round(sum / factor ** 2);
  }
  return out;
}

/** Draws real pictures, each [SIDE, SIDE, 3]. */
export const realPictures = (wanted: readonly (readonly [DrawnPerson, Scene])[]): Promise<Uint8Array[]> =>
  Promise.all(wanted.map(async ([person, scene]) => (await renderPicture(person, scene, SIDE)).picture.data));

const meanEmbedding = (album: readonly Verdict[]): Float32Array =>
  album[0]!.embedding.map((_, i) => album.reduce((sum, { embedding }) => sum + embedding[i]! / album.length, 0));
