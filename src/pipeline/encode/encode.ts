import { type Person, peopleOf } from "../../contract/person.ts";
import { checkPhotos, type GenerateRequest } from "../../contract/request.ts";
import type { FloatArray } from "../../core/array.ts";
import type { Notice } from "../../core/notice.ts";
import type { EncodingCache } from "../../sessions/encoding-cache.ts";
import { type Reader, readPrompts } from "../../sessions/text/prompts.ts";
import { encodeText, noText, type TextEmbeds, type TextEncoder } from "../../sessions/text/text-stage.ts";
import { readIdEmbeds } from "../denoise/read-latents.ts";
import type { Progress } from "../progress.ts";
import type { SettledRequest } from "../settle.ts";
import { checkIdTokens, encodePhotos, type IdEncoder, stackIds } from "./id-stage.ts";
import { idPixels, openPhoto } from "./photos.ts";

/** Embeddings for the denoiser: before the identity is merged in, after that, and of the negative prompt. */
export interface Texts {
  readonly text: TextEmbeds;
  readonly identity: TextEmbeds | undefined;
  readonly negative: TextEmbeds;
}

/** Encoders of texts and photos. */
export interface Encoders {
  readonly readers: readonly [Reader, Reader];
  readonly text: readonly [TextEncoder, TextEncoder];
  /** Absent without an adapter. */
  readonly identity: IdEncoder | undefined;
  /** Whether no negative prompt means zeros (force_zeros_for_empty_prompt). */
  readonly emptyPromptIsZeros: boolean;
  /** Word that marks the class word before it. */
  readonly triggerWord: string;
  /** Encodings that these models made. */
  readonly cache: EncodingCache;
  /** Whether each model is unloaded when its part is done. */
  readonly unloadAfterUse: boolean;
}

export interface EncodeOptions {
  /** Whether the negative text is used. */
  readonly guided: boolean;
  readonly progress: Progress;
  readonly note: (notices: readonly Notice[]) => void;
  readonly signal: AbortSignal;
  /** Called when texts and photos have been read without an error, before models are loaded. */
  readonly onRead?: () => void;
}

/**
 * Encodes texts and photos of one request for the denoiser.
 * @throws UserError id-images/missing, id-images/not-wanted, id-tokens/not-wanted, id-tokens/given-twice, id-tokens/shape; those of readPrompts,
 *   readIdEmbeds, openPhoto and encodePhotos
 */
export async function encode(encoders: Encoders, request: SettledRequest, options: EncodeOptions): Promise<Texts> {
  const { identity, text, cache, unloadAfterUse } = encoders;
  const { guided, progress, note, signal, onRead } = options;
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
  );
  note(ids.notices);
  // read photos first, so that their errors come before any model is loaded
  const seen = identity && person && (await readPerson(identity, person));
  onRead?.();

  const negativeIds = guided ? ids.negative : undefined;
  const steps = (negativeIds === undefined ? 1 : 2) + (ids.identity === undefined ? 0 : 3);
  let step = 0;
  const next = (detail: string): void => {
    signal.throwIfAborted();
    progress.step("encode", step++, steps, detail);
  };
  next("text");
  const skip = request.clipSkip ?? 0;
  const plain = await encodeText(text, ids.text, skip, cache, progress);
  if (negativeIds !== undefined) next("negative text");
  // the official code ignores clip_skip for negative texts
  const negative = negativeIds === undefined ? noText(text) : await encodeText(text, negativeIds, 0, cache, progress);
  const unloadTexts = async (): Promise<void> => {
    if (unloadAfterUse) await Promise.all(text.map(({ session }) => session.unload()));
  };
  if (identity === undefined || seen === undefined || ids.identity === undefined) {
    await unloadTexts();
    return { text: plain, identity: undefined, negative };
  }
  next("text with the person");
  const roomy = await encodeText(text, ids.identity.ids, skip, cache, progress);
  await unloadTexts();
  next("photos");
  const tokens = given ?? (await encodePhotos(identity, seen.pixels, seen.faces, cache, progress));
  next("fusion");
  const context = await stackIds(identity, roomy.context, ids.identity.places, tokens, cache, progress);
  if (unloadAfterUse) await Promise.all([identity.encode.unload(), identity.fuse.unload()]);
  progress.step("encode", steps, steps);
  return { text: plain, identity: { context, pooled: roomy.pooled }, negative };
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
  const tokens = await encodePhotos(identity, pixels, faces, cache, progress);
  if (unloadAfterUse) await identity.encode.unload();
  return tokens;
}
