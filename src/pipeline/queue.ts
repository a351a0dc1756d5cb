import { untilAborted } from "../core/until-aborted.ts";

/** A queue that runs one piece of work at a time, in order of arrival; failures do not stop it. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs work when its turn comes.
   * @param signal rejects at once, whether the work waits or runs. Running work must obey the signal itself, and the next work waits until it
   *   has stopped
   * @throws the signal's reason, and errors of the work
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
