/** Probability that a standard normal number is below x: Marsaglia 2004 (Journal of Statistical Software 11), the series of section 2. */
export function normalBelow(x: number): number {
  if (Math.abs(x) > 9) return x < 0 ? 0 : 1; // less than 1e-18
  let [sum, term] = [x, x];
  for (let i = 3; Math.abs(term) > 1e-17 * Math.abs(sum); i += 2) {
    term *= (x * x) / i;
    sum += term;
  }
  return Math.max(0, 0.5 + (sum * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI));
}

/**
 * Probability that a number of Student's t distribution lies within ±t: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.
 * @param freedom degrees of freedom, a whole number from 1 on
 */
export function studentWithin(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const odd = freedom % 2 === 1;
  let term = odd ? cosine : 1;
  let sum = 0;
  for (let i = odd ? 1 : 0; i <= freedom - 2; i += 2) {
    sum += term;
    term *= ((i + 1) / (i + 2)) * cosine ** 2;
  }
  return odd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
}

/** The t within which a number of Student's distribution lies with a probability; Infinity for 1. */
export function studentQuantile(within: number, freedom: number): number {
  if (within >= 1) return Number.POSITIVE_INFINITY;
  let [low, high] = [0, 1];
  while (studentWithin(high, freedom) < within) high *= 2;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, freedom) < within) low = middle;
    else high = middle;
  }
  return high;
}
