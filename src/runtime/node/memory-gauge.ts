interface Known {
  /** Bytes that it holds, as it last told. */
  now: number;
  /** The most it ever held, as it last told. */
  most: number;
  /** The most that the others held together since it last told. */
  beside: number;
}

/**
 * The most memory that processes have held together. Each tells only now and then what it holds and the most it has held,
 * so what two of them held at most between two reports is added up: never too little.
 */
export class MemoryGauge {
  readonly #processes = new Map<object, Known>();
  #peak = 0;

  /** Bytes. */
  get peak(): number {
    return this.#peak;
  }

  started(process: object): void {
    this.#processes.set(process, { now: 0, most: 0, beside: this.#others(process) });
  }

  /** @param now bytes that the process holds @param most that it has held since it began */
  told(process: object, now: number, most: number): void {
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
