import { type BenchmarkOptions, type IdUse, openBenchmark } from "../../src/miniature/benchmark.ts";
import { drawnPortraits } from "../../src/miniature/portraits.ts";
import { compareFigures } from "../../src/miniature/score.ts";
import { type GenerateInput, PhotoMaker } from "../../src/pipeline/index.ts";
import { type Configuration, nameOf, REFERENCE } from "./configurations.ts";
import type { Row } from "./results.ts";

export interface MeasureOptions extends Omit<BenchmarkOptions, "steps"> {
  /** Folder of the miniature. */
  readonly model: string;
  readonly threads: number;
  /** Number of pictures to time, alternating with the reference's. */
  readonly timed: number;
  readonly onNotice: (text: string) => void;
}

const USE: IdUse = { idImages: 4, startMergeStep: 0 };

/** Generates the same people, prompts and seeds in each configuration and judges them against the reference's pictures. */
export async function* measure(
  configurations: readonly Configuration[],
  options: MeasureOptions,
): AsyncGenerator<Omit<Row, "settings">> {
  const { model, threads, people, onNotice } = options;
  const load = { model, threads, device: "cpu" } as const;
  const withPerson = { ...load, adapter: `${model}/photomaker-v1.safetensors` };
  await using reference = await PhotoMaker.load({ ...withPerson, precision: "f32" });
  await using exact = await PhotoMaker.load({ ...withPerson, precision: "f32" });
  await using rounded = await PhotoMaker.load({ ...withPerson, precision: "int8" });
  onNotice("the model without an adapter");
  const benchmark = await openWithout(options, load);
  onNotice("the reference");
  const { statistics: expected } = await benchmark.measure(reference, USE, REFERENCE.sampling);
  const request = await timedRequest(reference, options);
  for (const configuration of configurations) {
    const name = nameOf(configuration);
    onNotice(name);
    const pm = configuration.precision === "int8" ? rounded : exact;
    const { statistics } = await benchmark.measure(pm, USE, configuration.sampling);
    const times = await timeInTurn(pm, reference, { ...request, ...configuration.sampling }, request, options.timed);
    yield { name, configuration, ...times, figures: compareFigures(people, statistics, expected) };
  }
}

/** Opens the benchmark. All configurations share one scale: its lower end is the reference's sampling without an adapter. */
async function openWithout(options: MeasureOptions, load: { readonly model: string; readonly threads: number }) {
  await using without = await PhotoMaker.load({ ...load, precision: "f32" });
  return await openBenchmark({ ...options, steps: REFERENCE.sampling.numInferenceSteps }, without);
}

async function timedRequest(pm: PhotoMaker, { seed, guidanceScale }: MeasureOptions): Promise<GenerateInput> {
  const { pngs, classWord } = await drawnPortraits(seed, 0, USE.idImages);
  return {
    prompt: `a photo of a ${classWord} img in the forest`,
    idTokens: await pm.encodeIdImages([...pngs], { idCrop: "off" }),
    startMergeStep: USE.startMergeStep,
    guidanceScale,
    ...REFERENCE.sampling,
  };
}

/**
 * Times pictures in alternation with the reference, so that other load affects both. The first of each loads and is not counted; of the others, the
 * fastest time of each evaluation counts, since other load only adds time.
 */
async function timeInTurn(
  ours: PhotoMaker,
  theirs: PhotoMaker,
  request: GenerateInput,
  referenceRequest: GenerateInput,
  count: number,
): Promise<Pick<Row, "seconds" | "referenceSeconds">> {
  const [mine, other]: [(readonly number[])[], (readonly number[])[]] = [[], []];
  for (let seed = 0; seed <= count; seed++) {
    const { timings } = await ours.generate({ ...request, seed });
    const { timings: reference } = await theirs.generate({ ...referenceRequest, seed });
    if (seed === 0) continue;
    mine.push(timings.evaluations);
    other.push(reference.evaluations);
  }
  return { seconds: quickest(mine), referenceSeconds: quickest(other) };
}

const quickest = (pictures: readonly (readonly number[])[]): number =>
  pictures[0]!.reduce((sum, _, i) => sum + Math.min(...pictures.map((evaluations) => evaluations[i]!)), 0);
