import type { Tensor } from "../graph/tensor.ts";
import type { Runtime, Session } from "../runtime/runtime.ts";

/** Called when a model begins to load, and when it has been loaded. */
export interface LoadObserver {
  loading(name: string): void;
  loaded(name: string, seconds: number): void;
}

/** A model that is loaded when it is first needed, and can be put away again. */
export class LazySession<Output extends string> {
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #outputs: Readonly<Record<Output, Tensor>>;
  #session: Promise<Session<Output>> | undefined;

  constructor(runtime: Runtime, name: string, outputs: Readonly<Record<Output, Tensor>>) {
    this.#runtime = runtime;
    this.name = name;
    this.#outputs = outputs;
  }

  /** The loaded model. Two callers at once load it once; a load that failed is tried again. */
  async get(observer: LoadObserver): Promise<Session<Output>> {
    if (this.#session !== undefined) return this.#session;
    const start = performance.now();
    observer.loading(this.name);
    this.#session = this.#runtime.load(this.#outputs);
    try {
      const session = await this.#session;
      observer.loaded(this.name, (performance.now() - start) / 1000);
      return session;
    } catch (error) {
      this.#session = undefined;
      throw error;
    }
  }

  /** Frees the memory; the next use loads again. */
  async unload(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await (await session?.catch(() => undefined))?.close();
  }
}
