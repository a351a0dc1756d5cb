/** Signal-to-error ratio in decibels. @param counts which numbers to count; all by default */
export function decibels(exact: Float32Array, found: Float32Array, counts: (i: number) => boolean = () => true): number {
  let [signal, noise] = [0, 0];
  for (const [i, v] of exact.entries()) {
    if (!counts(i)) continue;
    signal += v ** 2;
    noise += (v - found[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}
