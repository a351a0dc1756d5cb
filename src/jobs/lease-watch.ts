/** Milliseconds by a clock that nobody sets. */
export type MonotonicClock = () => number;

/**
 * Sees which leases have gone silent. A lease holds for as long as its signs of life are seen to change; it is over when this watcher saw
 * no change for the whole of its time, by its own monotonic clock. So neither a clock that jumps nor clocks of several machines that differ end
 * one. A watcher that was asleep itself, or could not look, begins anew.
 */
export class LeaseWatch {
  readonly #leaseMs: number;
  readonly #clock: MonotonicClock;
  #firstSeen = new Map<string, number>();
  #lastLook: number;

  constructor(leaseMs: number, clock: MonotonicClock) {
    this.#leaseMs = leaseMs;
    this.#clock = clock;
    this.#lastLook = clock();
  }

  /**
   * Looks at all leases.
   * @param signs one for each lease: another one whenever its holder gave a sign of life
   * @returns the signs that have not changed for too long
   */
  silent(signs: readonly string[]): string[] {
    const now = this.#clock();
    const slept = now - this.#lastLook > this.#leaseMs;
    this.#lastLook = now;
    this.#firstSeen = new Map(signs.map((sign) => [sign, slept ? now : (this.#firstSeen.get(sign) ?? now)]));
    return signs.filter((sign) => now - this.#firstSeen.get(sign)! >= this.#leaseMs);
  }
}
