import { floats } from "../core/array.ts";
import { UserError } from "../core/errors.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { namedDim } from "../graph/dim.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import { decodePhoto } from "../image/index.ts";
import { vaeDecode, vaeEncode } from "../models/vae.ts";
import { vaeConfig } from "../models/vae-config.ts";
import type { PhotoMaker } from "../pipeline/photomaker.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { openModel, type Tensors } from "../weights/index.ts";
import {
  captionOf,
  classWordOf,
  identityLabels,
  type Person,
  personAt,
  renderPicture,
  type Scene,
  sceneAt,
  sceneLabels,
} from "../world/index.ts";
import { SIDE } from "./configs.ts";
import { ALBUM, pictureValues } from "./data-set.ts";
import { openJudge, type Verdict } from "./judge-session.ts";
import { TRAINING_SEED } from "./make.ts";
import { drawnPortraits } from "./portraits.ts";

export interface EvaluateOptions {
  /** The miniature's folder, for its autoencoder. */
  readonly model: string;
  readonly withAdapter: Pick<PhotoMaker, "generateTogether">;
  readonly without: Pick<PhotoMaker, "generateTogether">;
  readonly judge: Tensors;
  readonly runtime: Runtime;
  readonly people: number;
  /** Of the world: another than training's. */
  readonly seed: number;
  readonly idImages: number;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly startMergeStep: number;
  readonly onProgress?: (done: number, of: number) => void;
}

/** A mean with its standard error, and the same on real pictures. */
export interface Figure {
  readonly value: number;
  readonly error: number;
  readonly real: number;
}

export interface Evaluation {
  readonly people: number;
  /** Likeness as a share of the way from no ID (0) to another real picture of the same person (1). */
  readonly faceSimShare: Figure;
  /** Mean cosine to the person's album: with the adapter; `none` is the model without it, with the same prompts and seeds. */
  readonly faceSim: Figure & { readonly none: number; readonly reconstruction: number };
  /** How often the right person is nearest among 64. */
  readonly rank1: Figure;
  readonly hairStyle: Figure;
  readonly eyeColour: Figure;
  readonly hairColour: Figure;
  /** Points of text accuracy lost by the adapter: background, clothes colour, accessory and style together. */
  readonly textLoss: { readonly value: number; readonly real: 0 };
  /** Share of texts obeyed: with the adapter, without it, and as the judge reads real pictures. */
  readonly text: Readonly<Record<string, Figure & { readonly none: number }>>;
  /** Peak signal-to-noise ratio of pictures that went through the autoencoder, dB. */
  readonly vaePsnr: { readonly value: number };
}

const CROWD = 64;
const AT_ONCE = 32;
const TEXT_KINDS = ["background", "clothesColour", "accessory", "style"] as const;
const IDENTITY_KINDS = ["hairStyle", "eyeColour", "hairColour"] as const;

interface Case {
  readonly person: Person;
  readonly scene: Scene;
  readonly prompt: string;
  readonly seed: number;
}

/**
 * Judges the miniature on people whom training has not seen, by a network that shares nothing with it: each person in one scene as a
 * photo, for likeness, and in one of any style, for the text. Prompts are those scenes' captions without a word on who it is.
 * @throws UserError evaluate/training-seed
 */
export async function evaluateMiniature(options: EvaluateOptions): Promise<Evaluation> {
  const { people, seed, runtime } = options;
  if (seed === TRAINING_SEED)
    throw new UserError(
      "evaluate/training-seed",
      `People of seed ${seed} are those that training has seen.`,
      "Give another seed: --seed 2.",
    );
  const look = await openJudge(runtime, options.judge);
  const persons = Array.from({ length: people }, (_, i) => personAt(seed, i));
  const likeness = persons.map((person, i) => caseOf(person, seed, i, true));
  const texts = persons.map((person, i) => caseOf(person, seed, i, false));
  const albums: Verdict[][] = [];
  for (const [i, person] of persons.entries()) {
    const scenes = Array.from({ length: ALBUM }, (_, n) => sceneAt(seed, i, n, "album"));
    albums.push(await look(await Promise.all(scenes.map((scene) => real(person, scene)))));
  }
  const draw = drawing(options);
  const ours = await look(await draw(likeness, true));
  const none = await look(await draw(likeness, false));
  const oursText = await look(await draw(texts, true));
  const noneText = await look(await draw(texts, false));
  const realPictures = await Promise.all(likeness.map(({ person, scene }) => real(person, scene)));
  const realText = await look(await Promise.all(texts.map(({ person, scene }) => real(person, scene))));
  const { pictures: rebuilt, psnr } = await throughVae(options, realPictures);
  const [truth, reconstruction] = [await look(realPictures), await look(rebuilt)];

  const sims = (verdicts: readonly Verdict[]): number[] => verdicts.map((v, i) => likenessTo(v, albums[i]!));
  const [high, low] = [mean(sims(truth)), mean(sims(none))];
  const shares = sims(ours).map((s) => (s - low) / (high - low));
  const first = (verdicts: readonly Verdict[]): number[] => verdicts.map((v, i) => Number(isNearest(v, i, albums)));
  const about = (verdicts: readonly Verdict[], kind: string): number[] =>
    verdicts.map((v, i) => Number(v.identity[kind] === (identityLabels(persons[i]!) as Record<string, number>)[kind]));
  const obeyed = (verdicts: readonly Verdict[], kind: string): number[] =>
    verdicts.map((v, i) => Number(v.scene[kind] === (sceneLabels(texts[i]!.scene) as Record<string, number>)[kind]));
  const text = Object.fromEntries(
    TEXT_KINDS.map((kind) => [
      kind,
      { ...figure(obeyed(oursText, kind), mean(obeyed(realText, kind))), none: mean(obeyed(noneText, kind)) },
    ]),
  );
  const identity = Object.fromEntries(
    IDENTITY_KINDS.map((kind) => [kind, figure(about(ours, kind), mean(about(truth, kind)))]),
  ) as Record<(typeof IDENTITY_KINDS)[number], Figure>;
  return {
    people,
    faceSimShare: figure(shares, 1),
    faceSim: { ...figure(sims(ours), high), none: low, reconstruction: mean(sims(reconstruction)) },
    rank1: figure(first(ours), mean(first(truth))),
    ...identity,
    textLoss: { value: 100 * mean(Object.values(text).map(({ none, value }) => none - value)), real: 0 },
    text,
    vaePsnr: { value: psnr },
  };
}

/** The first free scene of the person, at their own age, as a photo or in any style. */
function caseOf(person: Person, seed: number, index: number, photo: boolean): Case {
  let picture = photo ? 0 : 100; // other scenes for the text than for the likeness
  const suits = (scene: Scene): boolean => scene.age === person.ageGroup && (!photo || scene.style === "photo");
  while (!suits(sceneAt(seed, index, picture, "free"))) picture++;
  const scene = sceneAt(seed, index, picture, "free");
  const prompt = captionOf(person, scene, seededRandom(seed, index, picture), { identity: 0 });
  return { person, scene, prompt, seed: 1000 + index };
}

async function real(person: Person, scene: Scene): Promise<Uint8Array> {
  return (await renderPicture(person, scene, SIDE)).picture.data;
}

/** Draws cases by the pipeline, with the adapter or without. */
function drawing(options: EvaluateOptions): (cases: readonly Case[], adapter: boolean) => Promise<Uint8Array[]> {
  const { withAdapter, without, seed, idImages, steps, guidanceScale, startMergeStep, onProgress } = options;
  let done = 0;
  return async (cases, adapter) => {
    const pictures: Uint8Array[] = [];
    for (let from = 0; from < cases.length; from += AT_ONCE) {
      const some = cases.slice(from, from + AT_ONCE);
      const requests = await Promise.all(
        some.map(async ({ person, scene, prompt, seed: drawn }, i) => {
          const common = { prompt, seed: drawn, numInferenceSteps: steps, guidanceScale };
          if (!adapter) return common;
          const word = classWordOf(person, scene);
          const { pngs } = await drawnPortraits(seed, from + i, idImages);
          return {
            ...common,
            startMergeStep,
            prompt: prompt.replace(new RegExp(`\\b${word}\\b`), `${word} img`),
            inputIdImages: [...pngs],
          };
        }),
      );
      for (const [image] of await (adapter ? withAdapter : without).generateTogether(requests))
        pictures.push((await decodePhoto(image!.png)).data);
      done += some.length;
      onProgress?.(done, 4 * options.people);
    }
    return pictures;
  };
}

async function throughVae(
  { model, runtime }: EvaluateOptions,
  pictures: readonly Uint8Array[],
): Promise<{ pictures: Uint8Array[]; psnr: number }> {
  const { config, tensors } = (await openModel(model)).components.vae;
  const sizes = vaeConfig(config, tensors);
  const w = new Weights(new Checkpoint(tensors, "vae"));
  const { mean: latents } = vaeEncode(input("pictures", [namedDim("batch"), 3, SIDE, SIDE]), w, sizes);
  const session = await runtime.load({ rebuilt: vaeDecode(latents, w, sizes) });
  let squares = 0;
  const out: Uint8Array[] = [];
  for (const picture of pictures) {
    const values = new Float32Array(3 * SIDE * SIDE);
    pictureValues({ pictures: picture }, 0, values, 0);
    const { rebuilt } = await session.run({ pictures: floats(values, 1, 3, SIDE, SIDE) });
    const bytes = new Uint8Array(picture.length);
    for (let i = 0; i < SIDE * SIDE; i++)
      for (let c = 0; c < 3; c++) {
        const value = Math.round(((rebuilt.data as Float32Array)[c * SIDE * SIDE + i]! + 1) * 127.5);
        bytes[i * 3 + c] = Math.min(255, Math.max(0, value));
        squares += (bytes[i * 3 + c]! - picture[i * 3 + c]!) ** 2;
      }
    out.push(bytes);
  }
  await session.close();
  return { pictures: out, psnr: 10 * Math.log10(255 ** 2 / (squares / (pictures.length * 3 * SIDE * SIDE))) };
}

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Mean cosine to the person's pictures. */
const likenessTo = ({ embedding }: Verdict, album: readonly Verdict[]): number =>
  mean(album.map((v) => dot(embedding, v.embedding)));

/** Whether no other of the crowd is nearer: the person and the 63 that follow. */
function isNearest(verdict: Verdict, index: number, albums: readonly (readonly Verdict[])[]): boolean {
  const own = likenessTo(verdict, albums[index]!);
  const others = Array.from({ length: Math.min(CROWD, albums.length) - 1 }, (_, i) => albums[(index + 1 + i) % albums.length]!);
  return others.every((album) => likenessTo(verdict, album) < own);
}

function figure(values: readonly number[], realMean: number): Figure {
  const value = mean(values);
  const variance = values.reduce((sum, v) => sum + (v - value) ** 2, 0) / Math.max(1, values.length - 1);
  return { value, error: Math.sqrt(variance / values.length), real: realMean };
}
