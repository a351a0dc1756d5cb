import type { GenerateEvent, NumberedEvent } from "../contract/events.ts";

/** Runs with an emitter of events and a signal; resolves with the whole result. */
export type StartGeneration<Result> = (emit: (event: GenerateEvent) => void, signal: AbortSignal) => Promise<Result>;

/**
 * Work under way. Either iterate over its events, or await it for the result; both may be done. Several loops may run at once: each sees every
 * event, and one that begins late those before it as well, except for previews. When the last loop is left early, the work is cancelled.
 */
export class Generation<Result> implements AsyncIterable<NumberedEvent>, Promise<Result> {
  readonly [Symbol.toStringTag] = "Generation";
  readonly #abort = new AbortController();
  readonly #result: Promise<Result>;
  /** What happened so far, without previews: for loops that begin late. */
  readonly #past: NumberedEvent[] = [];
  #count = 0;
  readonly #loops = new Set<Loop>();
  #ended = false;

  constructor(start: StartGeneration<Result>, signal?: AbortSignal) {
    const both = signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal]);
    const emit = (event: GenerateEvent): void => {
      if (this.#ended) return; // work that was cancelled may take a moment to stop
      const numbered: NumberedEvent = { ...event, id: this.#count++ };
      if (event.type !== "preview") this.#past.push(numbered);
      for (const loop of this.#loops) loop.push(numbered);
    };
    this.#result = start(emit, both).finally(() => {
      this.#ended = true;
      for (const loop of this.#loops) loop.wake();
    });
    this.#result.catch(() => undefined); // whoever awaits or iterates sees it
  }

  // biome-ignore lint/suspicious/noThenProperty: it is awaited on purpose
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
      await this.#result; // throws what went wrong
    } finally {
      this.#loops.delete(loop);
      if (!this.#ended && this.#loops.size === 0) this.#abort.abort(new DOMException("The caller left the loop.", "AbortError"));
    }
  }
}

/** The events that one loop has not seen yet. */
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

  /** Resolves when there is something new; nothing may have come since {@link taken} ended. */
  woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
