import type { Notice } from "../core/notice.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Feeds, PackedCache, Runtime, Session } from "../runtime/runtime.ts";

/** Observer of the loading of models. */
export interface LoadObserver {
  /** Aborts waiting for another process that prepares the same weights, at once. */
  readonly signal?: AbortSignal | undefined;
  loading(name: string): void;
  /** Reports progress of preparing a model's weights, in bytes. */
  preparing(name: string, done: number, total: number): void;
  noted(notice: Notice): void;
  loaded(name: string, seconds: number): void;
}

export interface PreparedGraph<Output extends string> {
  readonly outputs: Readonly<Record<Output, Tensor>>;
  /** Cache for the packed model, if it may be kept. */
  readonly keep?: PackedCache | undefined;
}

/** Prepares the weights of a graph and returns the graph to load. */
export type Prepare<Output extends string> = (observer: LoadObserver) => Promise<PreparedGraph<Output>>;

/** A model that is loaded when it is first needed, and can be unloaded. */
export class LazySession<Output extends string> {
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #outputs: Readonly<Record<Output, Tensor>> | Prepare<Output>;
  readonly #half: boolean;
  readonly #always: (() => Feeds) | undefined;
  #session: Promise<Session<Output>> | undefined;
  /** A load that was begun ahead of its need. */
  #ahead: Promise<Session<Output>> | undefined;

  /**
   * @param half whether to compute in float16
   * @param always gives feeds that every run receives besides its own
   */
  constructor(
    runtime: Runtime,
    name: string,
    outputs: Readonly<Record<Output, Tensor>> | Prepare<Output>,
    half = false,
    always?: () => Feeds,
  ) {
    this.#always = always;
    this.#runtime = runtime;
    this.name = name;
    this.#outputs = outputs;
    this.#half = half;
  }

  /** Prepares the weights, if the model's precision needs that, and leaves nothing loaded. @returns whether it does */
  async prepare(observer: LoadObserver): Promise<boolean> {
    if (typeof this.#outputs !== "function") return false;
    const { outputs, keep } = await this.#outputs(observer);
    if (keep !== undefined && this.#session === undefined && this.#ahead === undefined)
      await (await this.#runtime.load(outputs, { half: this.#half }, keep)).close();
    return true;
  }

  /**
   * Loads the model ahead of its need, unless its weights have yet to be prepared: that takes long and must be reported to a request.
   * A failure is ignored here; the load is tried again, and throws, when the model is needed.
   * @returns when the load has ended
   */
  async loadAhead(observer: Pick<LoadObserver, "noted">): Promise<void> {
    if (this.#session !== undefined || this.#ahead !== undefined) return;
    const preparing = (): never => {
      throw new Error(`${this.name} is not prepared`);
    };
    const noted = (notice: Notice): void => observer.noted(notice);
    const ahead = this.#load({ loading: () => {}, loaded: () => {}, noted, preparing });
    this.#ahead = ahead;
    await ahead.catch(() => {
      if (this.#ahead === ahead) this.#ahead = undefined;
    });
  }

  /** Returns the loaded model. Concurrent callers share one load; a failed load is tried again. The observer is told how long the caller waited. */
  async get(observer: LoadObserver): Promise<Session<Output>> {
    if (this.#session !== undefined) return this.#session;
    const start = performance.now();
    observer.loading(this.name);
    this.#session = this.#begun(observer);
    try {
      const session = await this.#session;
      observer.loaded(this.name, (performance.now() - start) / 1000);
      return session;
    } catch (error) {
      this.#session = undefined;
      throw error;
    }
  }

  async #begun(observer: LoadObserver): Promise<Session<Output>> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    return (await ahead?.catch(() => undefined)) ?? this.#load(observer);
  }

  async #load(observer: LoadObserver): Promise<Session<Output>> {
    const { outputs, keep } =
      typeof this.#outputs === "function" ? await this.#outputs(observer) : { outputs: this.#outputs, keep: undefined };
    const session = await this.#runtime.load(outputs, { half: this.#half }, keep);
    const always = this.#always;
    if (always === undefined) return session;
    return { run: (feeds, names) => session.run({ ...always(), ...feeds }, names), close: () => session.close() };
  }

  /** Frees the memory; the next use loads again. */
  async unload(): Promise<void> {
    const sessions = [this.#session, this.#ahead];
    this.#session = undefined;
    this.#ahead = undefined;
    await Promise.all(sessions.map(async (session) => (await session?.catch(() => undefined))?.close()));
  }
}
