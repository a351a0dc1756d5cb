import { type FloatArray, floats } from "../../core/array.ts";

/** Most ID tokens of a mixture, counted in photos: the paper draws from pools of this size. */
const MOST = 10;
/** A share that a stack misses by less is met. */
const MET = 0.005;

/**
 * Shares of people in a new person: those given, and equal parts of what these leave for the others.
 * @param given share of each; the first person's is what is left
 */
export function sharesOf(given: readonly (number | undefined)[]): number[] {
  const sum = given.reduce<number>((total, share) => total + (share ?? 0), 0);
  const open = given.filter((share) => share === undefined).length;
  return given.map((share) => share ?? (1 - sum) / open);
}

/**
 * Finds how many of the ID tokens are each person's: the smallest stack of up to ten whose parts are the shares, else the one that comes nearest.
 * @param shares sum is 1
 * @returns at least one for each
 * @see PhotoMaker (arXiv 2312.04461), section 4.4, identity mixing
 */
export function stackCounts(shares: readonly number[]): number[] {
  let best: { readonly counts: number[]; readonly miss: number } | undefined;
  for (let total = shares.length; total <= Math.max(MOST, shares.length); total++) {
    const counts = divided(shares, total);
    const miss = Math.max(...shares.map((share, i) => Math.abs(counts[i]! / total - share)));
    if (best === undefined || miss < best.miss - 1e-9) best = { counts, miss };
    if (miss <= MET) break;
  }
  return best!.counts;
}

/** Divides a number of places by the method of largest remainders, at least one for each. */
function divided(shares: readonly number[], total: number): number[] {
  const counts = shares.map((share) => Math.max(1, Math.floor(share * total + 1e-9)));
  const lacking = (i: number): number => shares[i]! * total - counts[i]!;
  const order = () => shares.map((_, i) => i).sort((a, b) => lacking(b) - lacking(a));
  for (let sum = counts.reduce((a, b) => a + b, 0); sum < total; sum++) counts[order()[0]!]!++;
  for (let sum = counts.reduce((a, b) => a + b, 0); sum > total; sum--) {
    const most = order()
      .filter((i) => counts[i]! > 1)
      .at(-1);
    if (most === undefined) break;
    counts[most]!--;
  }
  return counts;
}

/**
 * Stacks people's ID tokens, so that each has a given number of them: photos are repeated where there are too few, and averaged where there are too many.
 * @param parts ID tokens [photos · perPhoto, D] of each person
 * @param counts how many photos each has in the stack
 * @returns [sum of counts · perPhoto, D]
 */
export function stackOf(parts: readonly FloatArray[], counts: readonly number[], perPhoto: number): FloatArray {
  const width = parts[0]!.dims[1]!;
  const size = perPhoto * width;
  const out = new Float32Array(counts.reduce((a, b) => a + b, 0) * size);
  let at = 0;
  for (const [p, { data }] of parts.entries()) {
    const [photos, wanted] = [data.length / size, counts[p]!];
    for (let i = 0; i < wanted; i++, at += size) {
      const [from, to] =
        wanted >= photos
          ? [i % photos, (i % photos) + 1]
          : [Math.floor((i * photos) / wanted), Math.floor(((i + 1) * photos) / wanted)];
      for (let photo = from; photo < to; photo++)
        for (let k = 0; k < size; k++) out[at + k]! += data[photo * size + k]! / (to - from);
    }
  }
  return floats(out, out.length / width, width);
}

/**
 * Strength of each ID token in a stack of all tokens, so that each person acts by its share: on average 1.
 * @param tokens number of each person's tokens
 */
export function tokenWeights(shares: readonly number[], tokens: readonly number[]): number[] {
  const all = tokens.reduce((a, b) => a + b, 0);
  return shares.flatMap((share, i) => Array<number>(tokens[i]!).fill((share * all) / tokens[i]!));
}

/**
 * Weighs fused tokens: 1 leaves them, 0 gives the class word's embedding, more leads away from it. Weights before the fusion would be undone by its norm.
 * @param fused [S, D] with the person
 * @param roomy [S, D] the same text with the class word in the person's places
 * @param weights of the places, in order; where there are more than places, the first
 */
export function weighTokens(
  fused: FloatArray,
  roomy: FloatArray,
  places: readonly number[],
  weights: readonly number[],
): FloatArray {
  const width = fused.dims[1]!;
  const out = fused.data.slice();
  for (const [i, place] of places.entries())
    for (let k = place * width; k < (place + 1) * width; k++) {
      const word = roomy.data[k]!;
      out[k] = word + weights[i]! * (fused.data[k]! - word);
    }
  return floats(out, ...fused.dims);
}
