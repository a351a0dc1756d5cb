import { type Person, peopleOf } from "../../contract/person.ts";
import type { GenerateRequest } from "../../contract/request.ts";
import type { FloatArray } from "../../core/array.ts";
import type { EncodingCache } from "../../sessions/encoding-cache.ts";
import type { LoadObserver } from "../../sessions/lazy-session.ts";
import { checkAdapter, readPerson } from "../person-file.ts";
import { checkIdTokens, encodePhotos, type IdEncoder } from "./id-stage.ts";
import { sharesOf, stackCounts, stackOf, tokenWeights } from "./mix.ts";
import { type FaceTools, type PersonPhotos, readPersonPhotos } from "./person-photos.ts";

type WithPhotos = Pick<Person, "photos" | "idEmbeds" | "face" | "crop">;

/** One of the people in a stack of ID tokens. */
interface Part {
  readonly person: WithPhotos;
  /** ID tokens that are given, instead of photos. */
  readonly tokens: FloatArray | undefined;
  /** Unit vectors of the person's faces, from a file. */
  readonly vectors: readonly Float32Array[];
}

/** The stack of ID tokens of a request, as far as it is known before photos are read. */
export interface StackPlan {
  readonly parts: readonly Part[];
  /** Number of its ID tokens. */
  readonly tokens: number;
  /** ID tokens of each photo, where the stack is that of one person's photos. */
  readonly tokensPerPhoto: number | undefined;
  /** How many photos of each person are in the stack; undefined where all are. */
  readonly counts: readonly number[] | undefined;
  /** Photos of a mixture have so many tokens each. */
  readonly perPhoto: number;
  /** Strength of each token; undefined where all are 1. */
  readonly weights: readonly number[] | undefined;
}

export type PeopleRequest = Pick<
  GenerateRequest,
  "inputIdImages" | "idEmbeds" | "idTokens" | "people" | "person" | "mix" | "mixBy"
>;

/**
 * Plans the stack of ID tokens: of one person, or of several who are mixed.
 * @throws UserError id-tokens/shape, and those of readPerson and checkAdapter
 */
export async function planStack(identity: IdEncoder, request: PeopleRequest): Promise<StackPlan> {
  const [person] = peopleOf(request);
  const mixed = request.mix ?? [];
  const first = { photos: [], ...person, person: request.person };
  const parts: Part[] = [];
  for (const each of [first, ...mixed]) parts.push(await partOf(identity, each));
  const perPhoto = identity.graph.tokensPerPhoto;
  const sizes = parts.map((part) => part.tokens?.dims[0] ?? part.person.photos.length * perPhoto);
  const all = sizes.reduce((a, b) => a + b, 0);
  const weight = person?.weight ?? 1;
  if (mixed.length === 0)
    return {
      ...{ parts, tokens: all, tokensPerPhoto: parts[0]!.tokens === undefined ? perPhoto : undefined },
      ...{ counts: undefined, perPhoto, weights: weight === 1 ? undefined : sizes.flatMap((n) => Array<number>(n).fill(weight)) },
    };
  const shares = sharesOf([undefined, ...mixed.map(({ share }) => share)]);
  if (request.mixBy === "weights")
    return { parts, tokens: all, tokensPerPhoto: undefined, counts: undefined, perPhoto, weights: tokenWeights(shares, sizes) };
  const counts = stackCounts(shares);
  // given tokens may be any number
  const whole = sizes.every((size) => size % perPhoto === 0) ? perPhoto : 1;
  const tokens = counts.reduce((a, b) => a + b, 0) * whole;
  return { parts, tokens, tokensPerPhoto: undefined, counts, perPhoto: whole, weights: undefined };
}

async function partOf(
  identity: IdEncoder,
  {
    idTokens,
    person: file,
    ...person
  }: WithPhotos & { readonly idTokens?: FloatArray | undefined; readonly person?: string | undefined },
): Promise<Part> {
  if (file === undefined) return { person, tokens: idTokens && checkIdTokens(identity.graph, idTokens), vectors: [] };
  const read = await readPerson(file);
  checkAdapter(file, read, await identity.fingerprint());
  return { person, tokens: checkIdTokens(identity.graph, read.idTokens), vectors: rowsOf(read.faceVectors) };
}

const rowsOf = (array: FloatArray | undefined): Float32Array[] =>
  array === undefined
    ? []
    : Array.from({ length: array.dims[0]! }, (_, i) => array.data.slice(i * array.dims[1]!, (i + 1) * array.dims[1]!));

/** The photos of each person of a stack; undefined for whom tokens are given. */
export async function readStackPhotos(
  { parts }: StackPlan,
  identity: IdEncoder,
  request: GenerateRequest,
  how: { readonly tools: FaceTools | undefined; readonly cache: EncodingCache; readonly signal: AbortSignal },
): Promise<(PersonPhotos | undefined)[]> {
  const photos: (PersonPhotos | undefined)[] = [];
  for (const [i, { person, tokens }] of parts.entries()) {
    const vectors = i === 0 && request.likeness === true;
    photos.push(tokens === undefined ? await readPersonPhotos(identity.graph, person, request, { ...how, vectors }) : undefined);
  }
  return photos;
}

/**
 * Makes the stack's ID tokens.
 * @returns [tokens, D]
 * @throws UserError those of encodePhotos
 */
export async function encodeStack(
  { parts, counts, perPhoto }: StackPlan,
  photos: readonly (PersonPhotos | undefined)[],
  identity: IdEncoder,
  cache: EncodingCache,
  observer: LoadObserver,
): Promise<FloatArray> {
  const each: FloatArray[] = [];
  for (const [i, { tokens }] of parts.entries()) {
    const { pixels, faces } = photos[i] ?? { pixels: [], faces: undefined };
    each.push(tokens ?? (await encodePhotos(identity, pixels, faces, cache, observer)));
  }
  if (each.length === 1) return each[0]!;
  const all = each.map(({ dims }) => dims[0]! / perPhoto);
  return stackOf(each, counts ?? all, perPhoto);
}
