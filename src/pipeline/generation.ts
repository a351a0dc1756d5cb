import type { GenerateEvent, NumberedEvent } from "../contract/events.ts";

/** Starts a generation, given an emitter of events and a signal; resolves with the complete result. */
export type StartGeneration<Result> = (emit: (event: GenerateEvent) => void, signal: AbortSignal) => Promise<Result>;

/**
 * A generation in progress: iterate over its events, await its result, or both. Several loops may run at once. Each receives every event; a
 * loop that begins late also receives earlier ones, except for previews. Leaving the last loop early cancels the work.
 */
export class Generation<Result> implements AsyncIterable<NumberedEvent>, Promise<Result> {
  readonly [Symbol.toStringTag] = "Generation";
  readonly #abort = new AbortController();
  readonly #result: Promise<Result>;
  /** Events so far, without previews, for loops that begin late. */
  readonly #past: NumberedEvent[] = [];
  #count = 0;
  readonly #loops = new Set<Loop>();
  #ended = false;

  constructor(start: StartGeneration<Result>, signal?: AbortSignal) {
    const both = signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal]);
    const emit = (event: GenerateEvent): void => {
      if (this.#ended) return; // cancelled work may take a moment to stop
      const numbered: NumberedEvent = { ...event, id: this.#count++ };
      if (event.type !== "preview") this.#past.push(numbered);
      for (const loop of this.#loops) loop.push(numbered);
    };
    this.#result = start(emit, both).finally(() => {
      this.#ended = true;
      for (const loop of this.#loops) loop.wake();
    });
    this.#result.catch(() => undefined); // thrown to those who await or iterate
  }

  // biome-ignore lint/suspicious/noThenProperty: a generation can be awaited
  then<A = Result, B = never>(
    onResult?: ((result: Result) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(onResult, onError);
  }

  catch<B = never>(onError?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<Result | B> {
    return this.#result.catch(onError);
  }

  finally(onEnd?: (() => void) | null): Promise<Result> {
    return this.#result.finally(onEnd);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<NumberedEvent, void, undefined> {
    const loop = new Loop(this.#past);
    this.#loops.add(loop);
    try {
      while (true) {
        yield* loop.taken();
        if (this.#ended) break;
        await loop.woken();
      }
      await this.#result; // throws the error of the work
    } finally {
      this.#loops.delete(loop);
      if (!this.#ended && this.#loops.size === 0) this.#abort.abort(new DOMException("The caller left the loop.", "AbortError"));
    }
  }
}

/** Queue of events that one loop has yet to receive. */
class Loop {
  #waiting: NumberedEvent[];
  #wake: (() => void) | undefined;

  constructor(past: readonly NumberedEvent[]) {
    this.#waiting = [...past];
  }

  push(event: NumberedEvent): void {
    this.#waiting.push(event);
    this.wake();
  }

  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  *taken(): Generator<NumberedEvent> {
    while (this.#waiting.length > 0) yield this.#waiting.shift()!;
  }

  /** Resolves at the next event. To be called only while the queue is empty, after {@link taken} has ended. */
  woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
