import { join } from "node:path";
import { writeFileAtomically } from "../core/atomic-file.node.ts";
import { makeFolder } from "../core/make-folder.node.ts";
import type { Rgb8 } from "../image/index.ts";
import { renderPicture } from "../minifaces/index.ts";
import { type AutoencoderFigures, autoencoderFigures } from "./autoencoder-figures.ts";
import { type Benchmark, type BenchmarkOptions, type Drawer, type IdModel, type IdUse, openBenchmark } from "./benchmark.ts";
import { SHARP_SIDE } from "./configs.ts";
import { averageToken } from "./id-embedding.ts";
import { samplesSheet } from "./samples-sheet.ts";
import type { AdapterFigures } from "./score.ts";
import { type SharpFigures, sharpFigures } from "./sharp-figures.ts";

export interface EvaluateOptions extends Omit<BenchmarkOptions, "onPictures"> {
  /** Folder of the miniature, whose autoencoder is measured. */
  readonly model: string;
  readonly withAdapter: IdModel;
  readonly without: Drawer;
  readonly idImages: number;
  readonly startMergeStep: number;
  /** Whether to evaluate other numbers of ID images, their average, and other merge steps, too. */
  readonly full?: boolean;
  /** Folder for `people.png`: the first people's ID images and generated pictures. */
  readonly samples?: string;
  readonly onProgress?: (done: number, of: number) => void;
}

export interface MiniatureScores extends AdapterFigures, AutoencoderFigures {
  readonly people: number;
  /** Photos generated per person, in addition to one picture in another style. */
  readonly pictures: number;
  /** The sharp decoder's, if the model has one. */
  readonly sharp?: SharpFigures;
  /** The same adapter used in other ways, by the difference. */
  readonly variants?: Readonly<Record<string, AdapterFigures>>;
}

/**
 * Evaluates the miniature on people not seen in training, with a judge that shares nothing with it. Prompts are captions of scenes that do not
 * describe the person; a property of a scene counts if the prompt mentions it.
 * @throws UserError evaluate/training-seed, and those of generate and openModel
 */
export async function evaluateMiniature(options: EvaluateOptions): Promise<MiniatureScores> {
  const { withAdapter, without, idImages, startMergeStep, people, pictures, full = false, samples, onProgress } = options;
  const usual: IdUse = { idImages, startMergeStep };
  const variants = full ? otherUses(usual, options.steps) : {};
  const total = people * (pictures + 1) * (2 + Object.keys(variants).length);
  let done = 0;
  const onPictures = (more: number): void => {
    done += more;
    onProgress?.(done, total);
  };
  const benchmark = await openBenchmark({ ...options, onPictures }, without);
  const { figures, pictures: drawn } = await benchmark.measure(withAdapter, usual);
  if (samples !== undefined) {
    await makeFolder(samples);
    const png = await samplesSheet(benchmark.set, drawn);
    await writeFileAtomically(join(samples, "people.png"), (sink) => sink.write(png));
  }
  const others: Record<string, AdapterFigures> = {};
  for (const [name, use] of Object.entries(variants)) others[name] = (await benchmark.measure(withAdapter, use)).figures;
  const autoencoder = await autoencoderFigures(options, benchmark);
  const sharp = await sharpFigures({ ...options, seed: benchmark.set.seed }, await pairs(benchmark, drawn));
  return { people, pictures, ...figures, ...autoencoder, ...(sharp && { sharp }), ...(full && { variants: others }) };
}

/** The first photos that were generated in the sharp decoder's size, each beside a drawn one of its scene. */
async function pairs({ set }: Benchmark, generated: readonly Rgb8[]) {
  const wanted = set.cases.slice(0, SHARP_PICTURES).flatMap(({ person, scene }, i) => {
    const { width, data } = generated[i]!;
    return width === SHARP_SIDE ? [{ who: set.persons[person]!, scene, made: data }] : [];
  });
  return Promise.all(
    wanted.map(async ({ who, scene, made }) => ({
      made,
      drawn: (await renderPicture(who, scene, SHARP_SIDE)).picture.data,
    })),
  );
}

const SHARP_PICTURES = 100;
const MERGE_STEPS = [-1, 0, 2, 5, 10, 15];

/** The paper's comparisons that need no retraining: section 5.3, and the merge step of section 3.2. */
export function otherUses(usual: IdUse, steps: number): Record<string, IdUse> {
  const numbers = [1, 2].map((idImages) => [`idImages=${idImages}`, { ...usual, idImages }] as const);
  const merges = MERGE_STEPS.filter((step) => step < steps && step !== usual.startMergeStep).map(
    (startMergeStep) => [`startMergeStep=${startMergeStep}`, { ...usual, startMergeStep }] as const,
  );
  return Object.fromEntries([...numbers, ["average", { ...usual, compose: averageToken }], ...merges]);
}
