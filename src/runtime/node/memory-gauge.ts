interface Known {
  /** Bytes held, from the last report. */
  now: number;
  /** Peak in bytes, from the last report. */
  most: number;
  /** Peak of the other processes together since the last report, in bytes. */
  beside: number;
}

/**
 * Measures the peak memory of several processes together. Each reports its memory and its own peak only now and then, so the peaks between
 * two reports are added up: the result may be too large, never too small.
 */
export class MemoryGauge {
  readonly #processes = new Map<object, Known>();
  #peak = 0;

  /** Peak of all processes together so far, in bytes. */
  get peak(): number {
    return this.#peak;
  }

  started(process: object): void {
    this.#processes.set(process, { now: 0, most: 0, beside: this.#others(process) });
  }

  /** Records a report of a process. @param now bytes that it holds @param most its peak in bytes since it started */
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
