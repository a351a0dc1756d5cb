import type { Likeness } from "../../contract/events.ts";
import type { FloatArray } from "../../core/array.ts";
import { areaOf } from "../../faces/geometry.ts";
import { lookAt } from "../../faces/look.ts";
import { cosine } from "../../faces/people.ts";
import type { Rgb8 } from "../../image/index.ts";
import type { FaceTools } from "../encode/person-photos.ts";

/** Compares a drawn picture with the photos. */
export type JudgePicture = (picture: Rgb8, signal: AbortSignal) => Promise<Likeness>;

/** Cosine of ArcFace's vectors from which on two faces are usually taken for one person's: InsightFace's own examples use it. */
const ARCFACE_SAME = 0.28;

export interface ToJudge {
  /** Unit vectors of the shipped recogniser for the faces in the photos. */
  readonly vectors: readonly Float32Array[];
  /** Face embeddings of a pack that the user gave, [photos, width], where the adapter was given them. */
  readonly embeddings: FloatArray | undefined;
  /** Whether the embeddings were made by the loaded pack, and not read from a file of an unknown recogniser. */
  readonly ofPack: boolean;
}

/**
 * Makes the judge of a request's pictures. Where a pack made face embeddings of the photos, its recogniser judges, since the shipped one has chosen the
 * faces; without a pack the shipped one judges. No recogniser has chosen among the pictures.
 */
export function judgeOf({ networks, pack, same }: FaceTools, { vectors, embeddings, ofPack }: ToJudge): JudgePicture {
  if (pack !== undefined && ofPack && embeddings !== undefined) {
    const [count, width] = embeddings.dims as [number, number];
    const photos = Array.from({ length: count }, (_, i) => embeddings.data.subarray(i * width, (i + 1) * width));
    return async (picture, signal) => {
      const faces = await pack.detect(picture, signal);
      const largest = faces.toSorted((a, b) => areaOf(b.box) - areaOf(a.box))[0];
      const vector = largest && (await pack.embed(picture, largest.points, signal));
      return likenessOf(vector, photos, { recogniser: "arcface", same: ARCFACE_SAME });
    };
  }
  return async (picture, signal) => {
    if (vectors.length === 0) return likenessOf(undefined, [], { recogniser: "dlib", same });
    const { faces } = await lookAt(picture, networks, signal);
    const largest = faces.toSorted((a, b) => areaOf(b.box) - areaOf(a.box))[0];
    return likenessOf(await largest?.vector(signal), vectors, { recogniser: "dlib", same });
  };
}

function likenessOf(
  vector: Float32Array | undefined,
  photos: readonly Float32Array[],
  { recogniser, same }: Pick<Likeness, "recogniser" | "same">,
): Likeness {
  const each = vector === undefined ? [] : photos.map((photo) => Number(cosine(vector, photo).toFixed(4)));
  const mean = each.length === 0 ? null : Number((each.reduce((a, b) => a + b, 0) / each.length).toFixed(4));
  return { similarity: mean, photos: each, recogniser, same, facesChosenBy: "dlib" };
}
