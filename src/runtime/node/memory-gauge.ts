interface Known {
  /** Bytes held, by the last report. */
  now: number;
  /** Most bytes ever held, by the last report. */
  most: number;
  /** Most bytes that the other processes held together since the last report. */
  beside: number;
}

/**
 * Measures the most memory that processes have held together. Each reports only now and then how much it holds and its own maximum, so
 * between two reports the maxima are added up: the result may be too large, never too small.
 */
export class MemoryGauge {
  readonly #processes = new Map<object, Known>();
  #peak = 0;

  /** Most bytes held together so far. */
  get peak(): number {
    return this.#peak;
  }

  started(process: object): void {
    this.#processes.set(process, { now: 0, most: 0, beside: this.#others(process) });
  }

  /** @param now bytes that the process holds @param most bytes that it has held since it started */
  report(process: object, now: number, most: number): void {
    const own = this.#processes.get(process);
    if (own === undefined) return;
    const level = most > own.most ? most : Math.max(own.now, now);
    for (const [other, known] of this.#processes)
      if (other !== process) known.beside = Math.max(known.beside, this.#others(other) - own.now + level);
    this.#peak = Math.max(this.#peak, level + own.beside);
    Object.assign(own, { now, most, beside: this.#others(process) });
  }

  ended(process: object): void {
    this.#processes.delete(process);
  }

  #others(process: object): number {
    let sum = 0;
    for (const [other, { now }] of this.#processes) if (other !== process) sum += now;
    return sum;
  }
}
