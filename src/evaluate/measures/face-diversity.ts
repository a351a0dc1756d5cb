/** A picture's place among a run's pictures. */
export interface PictureKey {
  readonly person: number;
  readonly prompt: number;
}

/** Pairs of pictures, by index. */
export type PicturePair = readonly [number, number];

/**
 * Pairs whose faces are compared for face diversity: of the same person and the same prompt, or of the same person whatever the prompt. PhotoMaker (arXiv
 * 2312.04461), section 5.1, measures LPIPS between the faces of generated pictures.
 * @param pictures null for a picture without a face, which is in no pair
 */
export function diversityPairs(pictures: readonly (PictureKey | null)[], within: "prompt" | "person" = "prompt"): PicturePair[] {
  const groups = new Map<string, number[]>();
  for (const [i, picture] of pictures.entries()) {
    if (picture === null) continue;
    const key = within === "prompt" ? `${picture.person} ${picture.prompt}` : `${picture.person}`;
    groups.set(key, [...(groups.get(key) ?? []), i]);
  }
  return [...groups.values()].flatMap(pairsOf);
}

/** All pairs of a list, each once. */
export const pairsOf = (indices: readonly number[]): PicturePair[] =>
  indices.flatMap((a, i) => indices.slice(i + 1).map((b): PicturePair => [a, b]));
