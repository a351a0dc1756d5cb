import type { GenerateEvent, Phase, Timings } from "../contract/events.ts";
import type { Notice } from "../core/notice.ts";
import type { LoadObserver } from "../sessions/lazy-session.ts";

/** Emits events about the progress of a request, and measures its timings. */
export class Progress implements LoadObserver {
  readonly #emit: (event: GenerateEvent) => void;
  readonly signal: AbortSignal | undefined;
  readonly #begin = performance.now();
  readonly #load: Record<string, number> = {};
  readonly #phases = new Map<Phase, number>();
  readonly #evaluations: number[] = [];

  /** @param signal aborts a preparation in progress */
  constructor(emit: (event: GenerateEvent) => void, signal?: AbortSignal) {
    this.#emit = emit;
    this.signal = signal;
  }

  loading(name: string): void {
    this.step("load", 0, 1, name);
  }

  preparing(name: string, done: number, total: number): void {
    this.signal?.throwIfAborted();
    this.step("prepare", done, total, name);
  }

  noted(notice: Notice): void {
    this.#emit({ type: "notice", notice });
  }

  loaded(name: string, seconds: number): void {
    this.#load[name] = (this.#load[name] ?? 0) + seconds;
    this.step("load", 1, 1, name);
  }

  step(phase: Phase, step: number, steps: number, detail?: string, secondsLeft?: number): void {
    this.#emit({
      type: "progress",
      phase,
      step,
      steps,
      ...(detail === undefined ? {} : { detail }),
      ...(secondsLeft === undefined ? {} : { secondsLeft }),
    });
  }

  /** Records one evaluation of the denoiser, and reports the remaining time at the mean pace. */
  evaluated(seconds: number, step: number, steps: number): void {
    this.#evaluations.push(seconds);
    const mean = this.#evaluations.reduce((a, b) => a + b, 0) / this.#evaluations.length;
    this.step("denoise", step, steps, undefined, mean * (steps - step));
  }

  /** Runs a phase and adds its duration, without the time spent loading, to the timings. */
  async timed<T>(phase: Phase, work: () => Promise<T>): Promise<T> {
    const [start, loadBefore] = [performance.now(), this.#loadTotal()];
    try {
      return await work();
    } finally {
      const seconds = (performance.now() - start) / 1000 - (this.#loadTotal() - loadBefore);
      this.#phases.set(phase, (this.#phases.get(phase) ?? 0) + seconds);
    }
  }

  timings(): Timings {
    return {
      load: { ...this.#load },
      encode: this.#phases.get("encode") ?? 0,
      evaluations: [...this.#evaluations],
      decode: this.#phases.get("decode") ?? 0,
      total: (performance.now() - this.#begin) / 1000,
    };
  }

  #loadTotal(): number {
    return Object.values(this.#load).reduce((a, b) => a + b, 0);
  }
}
