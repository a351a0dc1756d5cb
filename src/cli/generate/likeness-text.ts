import type { Likeness } from "../../contract/events.ts";

/** What is said of a picture's likeness. */
export function likenessText({ similarity, photos, recogniser, same, facesChosenBy }: Likeness): string {
  const by =
    recogniser === facesChosenBy
      ? `${NAMES[recogniser]} judges, which has also chosen the faces in the photos; no recogniser has chosen among pictures`
      : `${NAMES[recogniser]} judges; ${NAMES[facesChosenBy]} has chosen the faces in the photos`;
  if (similarity === null) return `Likeness: no face to compare in the picture or in the photos (${by}).`;
  const range = photos.length < 2 ? "" : `, ${Math.min(...photos).toFixed(2)} to ${Math.max(...photos).toFixed(2)}`;
  return `Likeness: ${similarity.toFixed(2)} to ${photos.length} photo${photos.length === 1 ? "" : "s"}${range}; one person's is ${same} or more (${by}).`;
}

const NAMES = { dlib: "dlib's recogniser", arcface: "the pack's recogniser" } as const;
