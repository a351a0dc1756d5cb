import type { GenerateEvent, NumberedEvent } from "../contract/events.ts";

/** Runs with an emitter of events and a signal; resolves with the whole result. */
export type Start<Result> = (emit: (event: GenerateEvent) => void, signal: AbortSignal) => Promise<Result>;

/**
 * Work under way. Either iterate over its events, or await it for the result; both may be done. Leaving a `for await`
 * loop early cancels the work.
 */
export class Generation<Result> implements AsyncIterable<NumberedEvent>, PromiseLike<Result> {
  readonly #abort = new AbortController();
  readonly #result: Promise<Result>;
  readonly #events: NumberedEvent[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(start: Start<Result>, signal?: AbortSignal) {
    const both = signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal]);
    const emit = (event: GenerateEvent): void => {
      this.#events.push({ ...event, id: this.#events.length });
      this.#wake?.();
    };
    this.#result = start(emit, both).finally(() => {
      this.#ended = true;
      this.#wake?.();
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

  async *[Symbol.asyncIterator](): AsyncGenerator<NumberedEvent, void, undefined> {
    let at = 0;
    try {
      while (true) {
        while (at < this.#events.length) yield this.#events[at++]!;
        if (this.#ended) break;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      await this.#result; // throws what went wrong
    } finally {
      if (!this.#ended) this.#abort.abort(new DOMException("The caller left the loop.", "AbortError"));
    }
  }
}
