/** How much larger a signal is than the difference to it. @param counts which of its numbers count: all, when absent */
export function decibels(exact: Float32Array, found: Float32Array, counts: (i: number) => boolean = () => true): number {
  let [signal, noise] = [0, 0];
  for (const [i, v] of exact.entries()) {
    if (!counts(i)) continue;
    signal += v ** 2;
    noise += (v - found[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}
