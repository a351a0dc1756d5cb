import { type Person, peopleOf } from "../../contract/person.ts";
import { checkPhotos, type GenerateRequest, type LoadOptions } from "../../contract/request.ts";
import { type FloatArray, floats } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import type { EncodingCache } from "../../sessions/encoding-cache.ts";
import { type PromptPhase, type Reader, readPrompts } from "../../sessions/text/prompts.ts";
import { encodeText, noText, type TextEmbeds, type TextEncoder, type TextIds, weigh } from "../../sessions/text/text-stage.ts";
import type { EmbeddingVectors } from "../../text/prompt-tokens.ts";
import { readIdEmbeds } from "../denoise/read-latents.ts";
import type { Progress } from "../progress.ts";
import type { SettledRequest } from "../settle.ts";
import { checkIdTokens, encodePhotos, type IdEncoder, stackIds } from "./id-stage.ts";
import { idPixels, openPhoto } from "./photos.ts";
import { tagNotices } from "./tag-notices.ts";

/** What the denoiser is told before and after the identity is merged in. */
export interface TextsOfPhase {
  readonly text: TextEmbeds;
  readonly identity: TextEmbeds | undefined;
  readonly negative: TextEmbeds;
}

/** Those of the first step, and those that a prompt's schedules change to, each from a step on. */
export interface Texts extends TextsOfPhase {
  readonly later?: readonly { readonly from: number; readonly texts: TextsOfPhase }[];
}

/** What makes embeddings of texts and photos. */
export interface Encoders {
  readonly readers: readonly [Reader, Reader];
  readonly text: readonly [TextEncoder, TextEncoder];
  /** Absent without an adapter. */
  readonly identity: IdEncoder | undefined;
  /** Whether no negative prompt means zeros (force_zeros_for_empty_prompt). */
  readonly emptyPromptIsZeros: boolean;
  /** Word that marks the class word before it. */
  readonly triggerWord: string;
  /** Textual inversions, by name. */
  readonly embeddings?: ReadonlyMap<string, EmbeddingVectors>;
  /** Encodings of these models. */
  readonly cache: EncodingCache;
  /** Whether each model is unloaded when its part is done. */
  readonly unloadAfterUse: boolean;
}

export interface EncodeOptions {
  /** Whether the negative text is used. */
  readonly guided: boolean;
  /** How many the sampler makes in all. */
  readonly evaluations: number;
  /** Those that are loaded, which prompts may ask for. */
  readonly loras: LoadOptions["loras"];
  readonly progress: Progress;
  readonly note: (notices: readonly Notice[]) => void;
  readonly signal: AbortSignal;
  /** Called when texts and photos have been read without an error, before models are loaded. */
  readonly onRead?: () => void;
}

/**
 * The texts and photos of one request, as the denoiser is told of them.
 * @throws UserError id-images/missing, id-images/not-wanted, id-tokens/not-wanted, id-tokens/given-twice, id-tokens/shape, t-gate/before-schedule;
 *   those of readPrompts, readIdEmbeds, openPhoto and encodePhotos
 */
export async function encode(encoders: Encoders, request: SettledRequest, options: EncodeOptions): Promise<Texts> {
  const { identity, text, cache, unloadAfterUse } = encoders;
  const { guided, evaluations, loras, progress, note, signal, onRead } = options;
  checkPhotos(identity !== undefined, request);
  const [person] = peopleOf(request);
  const given = person?.idTokens && checkIdTokens(identity!.graph, person.idTokens);
  const ids = readPrompts(
    encoders.readers,
    request,
    identity && {
      trigger: encoders.triggerWord,
      repeats: given?.dims[0] ?? (person?.photos.length ?? 0) * identity.graph.tokensPerPhoto,
      tokensPerPhoto: given === undefined ? identity.graph.tokensPerPhoto : undefined,
      everyToken: identity.everyToken,
    },
    encoders.emptyPromptIsZeros,
    {
      syntax: request.promptSyntax ?? "a1111",
      steps: request.numInferenceSteps,
      ...(encoders.embeddings && { embeddings: encoders.embeddings }),
    },
  );
  checkSchedule(request, ids.later?.at(-1)?.from, evaluations);
  note([...ids.notices, ...tagNotices(ids.tags, loras)]);
  // photos are read first: what is wrong with them is found before anything is loaded
  const seen = identity && person && (await readPerson(identity, person));
  onRead?.();

  const phases = [ids, ...new Set(ids.later?.map(({ phase }) => phase))].filter(
    (phase, i, all): phase is PromptPhase => all.findIndex((other) => other.text === phase.text) === i,
  );
  const told = (phase: PromptPhase): number =>
    (guided && phase.negative !== undefined ? 2 : 1) + (phase.identity === undefined ? 0 : 1);
  const steps = phases.reduce((sum, phase) => sum + told(phase), 0) + (ids.identity === undefined ? 0 : 1 + phases.length);
  let step = 0;
  const next = (detail: string): void => {
    signal.throwIfAborted();
    progress.step("encode", step++, steps, detail);
  };
  const skip = request.clipSkip ?? 0;
  const width = text[0].graph.config.width;
  const read: { plain: TextEmbeds; negative: TextEmbeds; roomy: TextEmbeds | undefined; base: TextEmbeds | undefined }[] = [];
  for (const phase of phases) {
    next("text");
    const plain = await encodeText(text, phase.text, skip, cache, progress);
    const negativeIds = guided ? phase.negative : undefined;
    if (negativeIds !== undefined) next("negative text");
    // the official code leaves clip_skip out of account for negative texts
    const negative =
      negativeIds === undefined ? noText(text, phase.text.first.length) : await encodeText(text, negativeIds, 0, cache, progress);
    if (phase.identity !== undefined) next("text with the person");
    const person = phase.identity?.ids;
    const roomy = person && (await encodeText(text, person, skip, cache, progress, false));
    const base = person?.weights && (await encodeText(text, person.weights.empty, skip, cache, progress));
    read.push({ plain, negative, roomy, base });
  }
  if (unloadAfterUse) await Promise.all(text.map(({ session }) => session.unload()));
  const merged: (TextEmbeds | undefined)[] = [];
  if (identity !== undefined && seen !== undefined && ids.identity !== undefined) {
    next("photos");
    const tokens = given ?? (await encodePhotos(identity, seen.pixels, seen.faces, cache, progress));
    for (const [i, { roomy, base }] of read.entries()) {
      next("fusion");
      const { ids: person, places } = phases[i]!.identity!;
      const fused = await stackIds(identity, roomy!.context, places, tokens, cache, progress);
      const context =
        base === undefined ? fused : weighPerson(fused, roomy!.context, base.context, { ids: person, places, width });
      merged.push({ context, pooled: roomy!.pooled });
    }
    if (unloadAfterUse) await Promise.all([identity.encode.unload(), identity.fuse.unload()]);
    progress.step("encode", steps, steps);
  }
  const texts = read.map(({ plain, negative }, i): TextsOfPhase => ({ text: plain, identity: merged[i], negative }));
  const textsOf = (phase: PromptPhase): TextsOfPhase => texts[phases.findIndex((other) => other.text === phase.text)]!;
  const later = ids.later?.map(({ from, phase }) => ({ from, texts: textsOf(phase) }));
  return { ...texts[0]!, ...(later && { later }) };
}

/**
 * Weights of a text with the person in it: they act after the fusion, whose last layer is a norm that would undo them. Those of the person's
 * tokens lead away from the class word that stood there, so that they weigh the person and not the word.
 */
export function weighPerson(
  fused: FloatArray,
  roomy: FloatArray,
  empty: FloatArray,
  { ids, places, width }: { readonly ids: TextIds; readonly places: readonly number[]; readonly width: number },
): FloatArray {
  const [rows, columns] = fused.dims as [number, number];
  const base = new Float32Array(rows * columns);
  for (let from = 0; from < base.length; from += empty.data.length) base.set(empty.data, from);
  for (const place of places) {
    const [from, to] = [place * columns, (place + 1) * columns];
    base.set(roomy.data.subarray(from, to), from);
  }
  return weigh(fused, floats(base, rows, columns), ids.weights!, width);
}

/** @throws UserError t-gate/before-schedule */
function checkSchedule({ tGate, numInferenceSteps }: SettledRequest, last: number | undefined, evaluations: number): void {
  if (tGate === undefined || last === undefined) return;
  const from = Math.ceil((last * evaluations) / numInferenceSteps);
  if (from < tGate) return;
  throw new UserError(
    "t-gate/before-schedule",
    `T-GATE is to begin at evaluation ${tGate}, and the prompt's schedule changes the text at evaluation ${from}: from T-GATE on the text is not looked at.`,
    from + 1 < evaluations
      ? `Let T-GATE begin at ${from + 1} or later, or let the schedule end earlier.`
      : "Leave T-GATE out, or let the schedule end earlier: [this|that] changes the text to the end.",
  );
}

/** Reads the ID encoder's input for a person. */
async function readPerson(
  { graph }: IdEncoder,
  { photos, idEmbeds }: Pick<Person, "photos" | "idEmbeds">,
): Promise<{ readonly pixels: readonly Float32Array[]; readonly faces: FloatArray | undefined }> {
  const faces = idEmbeds === undefined ? undefined : await readIdEmbeds(idEmbeds);
  const pixels: Float32Array[] = [];
  for (const photo of photos) pixels.push(await idPixels(await openPhoto(photo), graph.image));
  return { pixels, faces };
}

/**
 * Encodes photos of one person as ID tokens, in the order of the photos, as {@link encode} does for `inputIdImages`.
 * @returns [photos · tokens of each, width]
 * @throws UserError id-images/not-wanted, id-images/missing, and those of openPhoto, readIdEmbeds and encodePhotos
 */
export async function encodeIdImages(
  { identity, cache, unloadAfterUse }: Pick<Encoders, "identity" | "cache" | "unloadAfterUse">,
  request: Pick<GenerateRequest, "inputIdImages" | "idEmbeds">,
  progress: Progress,
): Promise<FloatArray> {
  checkPhotos(identity !== undefined, request);
  if (identity === undefined) throw new TypeError("neither an adapter nor photos");
  const [person] = peopleOf(request);
  const { pixels, faces } = await readPerson(identity, person!);
  try {
    return await encodePhotos(identity, pixels, faces, cache, progress);
  } finally {
    if (unloadAfterUse) await identity.encode.unload();
  }
}
