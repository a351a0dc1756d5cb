interface Waiting<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/** An answer from a process or a thread. */
export interface PendingAnswer<T> {
  readonly id: number;
  readonly value?: T;
  readonly error?: string;
}

/** Unanswered requests to a process or a thread. When it fails, all of them fail, and so do later ones. */
export class Pending<T> {
  readonly #waiting = new Map<number, Waiting<T>>();
  #count = 0;
  #failure: Error | undefined;

  /** The reason why requests fail, once they do. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Awaits the answer to a request. @param send sends the request with its number */
  ask(send: (id: number) => void): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#count++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      send(id);
    });
  }

  settle({ id, value, error }: PendingAnswer<T>): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value as T);
    else waiting?.reject(new Error(error));
  }

  /** Fails all requests; the first reason is kept. */
  fail(reason: Error): void {
    this.#failure ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
