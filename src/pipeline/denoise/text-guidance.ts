import { drawnImages } from "../../contract/drawn-images.ts";
import type { TextEmbeds } from "../../sessions/text/text-stage.ts";
import type { TextsOfPhase } from "../encode/encode.ts";
import { guide, rescale } from "./classifier-free-guidance.ts";
import { type Evaluation, type Guidance, meanByPicture, type Told } from "./guidance.ts";
import { mergeStepOf } from "./merge-step.ts";
import type { Prepared } from "./prepared.ts";
import { timeIds } from "./time-ids.ts";

/** Whether the negative text plays a part: diffusers guides only above 1. */
export const isGuided = (guidanceScale: number): boolean => guidanceScale > 1;

/** How many evaluations are made with guidance; the others leave the negative text out. */
export const guidedEvaluations = (
  { guidanceScale, guidanceEnd }: { readonly guidanceScale: number; readonly guidanceEnd: number },
  total: number,
): number => (isGuided(guidanceScale) ? Math.round(guidanceEnd * total) : 0);

/**
 * Guidance by a negative text, until the share `guidanceEnd` of all evaluations; each picture is told its prompt without the person up to its
 * merge step, and with the person afterwards: two rows for a picture, then one. All negative texts come first, then all prompts.
 * @param prepared requests that are drawn side by side: their guidance is that of the first
 * @param pixels height and width of the pictures
 * @param total evaluations in all
 */
export function textGuidance(prepared: readonly Prepared[], pixels: readonly [number, number], total: number): Guidance {
  const { guidanceScale, guidanceRescale, guidanceEnd } = prepared[0]!.request;
  const guided = guidedEvaluations({ guidanceScale, guidanceEnd }, total);
  const isGuidedAt = ({ index }: Evaluation): boolean => index < guided;
  const requests = prepared.flatMap((one) => Array<Prepared>(drawnImages(one.request)).fill(one));
  const [two, one] = [timeIdRows(prepared, pixels, true), timeIdRows(prepared, pixels, false)];
  const ofPhase = new Map<TextsOfPhase, number>(); // a number for each, so that what is told again is the same object
  const rowsWith = (ids: readonly (readonly number[])[], textOf: (of: TextsOfPhase) => TextEmbeds) => {
    const known = new Map<string, Told>();
    return (at: Evaluation, picture: number): Told => {
      const texts = textsAt(requests[picture]!, at, total);
      const key = `${picture} ${ofPhase.get(texts) ?? ofPhase.set(texts, ofPhase.size).get(texts)}`;
      const told = known.get(key) ?? { ...textOf(texts), picture, timeIds: ids[picture]! };
      known.set(key, told);
      return told;
    };
  };
  const negative = rowsWith(two.slice(0, requests.length), (texts) => texts.negative);
  const negatives = (at: Evaluation): Told[] => requests.map((_, picture) => negative(at, picture));
  const promptsWith = (ids: readonly (readonly number[])[]) => {
    const plain = rowsWith(ids, ({ text }) => text);
    const merged = rowsWith(ids, ({ text, identity }) => identity ?? text);
    return (at: Evaluation): Told[] =>
      requests.map(({ request }, i) => (at.index <= mergeStepOf(request) ? plain : merged)(at, i));
  };
  const [beside, alone] = [promptsWith(two.slice(requests.length)), promptsWith(one)];
  const prompts = (at: Evaluation): Told[] => (isGuidedAt(at) ? beside : alone)(at);
  const rows = (at: Evaluation): Told[] => (isGuidedAt(at) ? [...negatives(at), ...prompts(at)] : prompts(at));

  const unguided: Guidance = {
    rows: prompts,
    combine: (answers) => answers,
    mean: (values) => values,
    get unguided() {
      return unguided;
    },
  };
  return {
    ...{ rows, unguided, mean: (values, at) => meanByPicture(values, rows(at)) },
    combine(answers, at) {
      if (!isGuidedAt(at)) return answers;
      const half = answers.length / 2;
      const [negative, positive] = [answers.subarray(0, half), answers.subarray(half)];
      const together = guide(negative, positive, guidanceScale);
      return guidanceRescale > 0 ? rescale(together, positive, requests.length, guidanceRescale) : together;
    },
  };
}

/**
 * What a request is told at an evaluation. Schedules count steps, of which some samplers make more than one evaluation each.
 * @param total evaluations in all
 */
function textsAt({ request, texts }: Prepared, { index }: Evaluation, total: number): TextsOfPhase {
  const step = Math.floor((index * request.numInferenceSteps) / total);
  return texts.later?.findLast(({ from }) => from <= step)?.texts ?? texts;
}

/** With guidance, the first half of each request's rows goes to its negative text, the second to its prompt. */
function timeIdRows(prepared: readonly Prepared[], pixels: readonly [number, number], guided: boolean): number[][] {
  const rows = prepared.map(({ request }) => {
    const sizes = { ...request, originalSize: request.originalSize ?? pixels, targetSize: request.targetSize ?? pixels };
    return timeIds(sizes, drawnImages(request), guided);
  });
  if (!guided) return rows.flat();
  return [...rows.flatMap((own) => own.slice(0, own.length / 2)), ...rows.flatMap((own) => own.slice(own.length / 2))];
}
