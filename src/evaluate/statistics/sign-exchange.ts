import { seededRandom } from "../../core/random/seeded-random.ts";

/** Up to so many differences every exchange of signs is counted; above, so many random ones. */
const EXACT = 20;
const RANDOM = 100_000;

export interface SignExchange {
  /** Probability of a mean as far from 0 or farther, if every sign were a matter of chance; two sides. */
  readonly p: number;
  readonly exact: boolean;
}

/**
 * Test of paired differences by the exchange of signs: Fisher 1935, "The Design of Experiments", section 21. Random exchanges count the observed one
 * too: Phipson and Smyth 2010 (Statistical Applications in Genetics and Molecular Biology 9), section 4.
 * @param differences one a person, at least one
 */
export function signExchange(differences: readonly number[], seed = 0): SignExchange {
  const total = differences.reduce((a, b) => a + b, 0);
  const size = differences.reduce((sum, d) => sum + Math.abs(d), 0);
  const atLeast = Math.abs(total) - 1e-12 * size; // equal sums may differ by rounding
  if (differences.length > EXACT) {
    const random = seededRandom(seed, differences.length);
    let count = 0;
    for (let n = 0; n < RANDOM; n++) {
      let sum = 0;
      for (const d of differences) sum += random.chance(0.5) ? d : -d;
      if (Math.abs(sum) >= atLeast) count++;
    }
    return { p: (count + 1) / (RANDOM + 1), exact: false };
  }
  const half = differences.length >> 1;
  const [first, second] = [signedSums(differences.slice(0, half)), signedSums(differences.slice(half))];
  let count = 0;
  for (const a of first) for (const b of second) if (Math.abs(a + b) >= atLeast) count++;
  return { p: count / (first.length * second.length), exact: true };
}

/** Sums for all choices of signs: [2^n]. */
function signedSums(values: readonly number[]): Float64Array {
  let sums = Float64Array.of(0);
  for (const value of values) {
    const next = new Float64Array(2 * sums.length);
    for (const [i, sum] of sums.entries()) {
      next[2 * i] = sum + value;
      next[2 * i + 1] = sum - value;
    }
    sums = next;
  }
  return sums;
}
