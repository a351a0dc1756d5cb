import { untilAborted } from "../core/until-aborted.ts";

/** One thing after the other: what comes later waits until what came before has ended, well or badly. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs work when its turn comes.
   * @param signal rejects at once, whether the work still waits or is under way. Work under way is handed the signal by its caller and may take a
   *   moment to stop; the next waits for that
   * @throws the signal's reason; whatever the work throws
   */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last;
    const turn = (async () => {
      await before;
      signal?.throwIfAborted();
      return work();
    })();
    this.#last = turn.catch(() => undefined);
    return untilAborted(turn, signal);
  }
}
