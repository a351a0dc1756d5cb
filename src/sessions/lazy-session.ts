import type { Notice } from "../core/notice.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Feeds, PackedCache, Runtime, Session } from "../runtime/runtime.ts";

/** Called when a model begins to load, and when it has been loaded. */
export interface LoadObserver {
  /** Ends waiting for another process that prepares the same weights, at once. */
  readonly signal?: AbortSignal | undefined;
  loading(name: string): void;
  /** Weights are being brought into the form in which they are computed with, once for all. */
  preparing(name: string, done: number, total: number): void;
  noted(notice: Notice): void;
  loaded(name: string, seconds: number): void;
}

export interface PreparedGraph<Output extends string> {
  readonly outputs: Readonly<Record<Output, Tensor>>;
  /** Where what it is loaded as is kept. */
  readonly keep?: PackedCache | undefined;
}

/** Makes the graph that is loaded of the one that was built. */
export type Prepare<Output extends string> = (observer: LoadObserver) => Promise<PreparedGraph<Output>>;

/** A model that is loaded when it is first needed, and can be put away again. */
export class LazySession<Output extends string> {
  readonly name: string;
  readonly #runtime: Runtime;
  readonly #outputs: Readonly<Record<Output, Tensor>> | Prepare<Output>;
  readonly #half: boolean;
  readonly #always: (() => Feeds) | undefined;
  #session: Promise<Session<Output>> | undefined;
  /** What was begun before anyone asked. */
  #ahead: Promise<Session<Output>> | undefined;

  /**
   * @param half whether to compute in float16
   * @param always what each run is fed beside its own inputs
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

  /** Brings the weights into the form in which they are computed with, where there is one, and leaves nothing loaded. @returns whether there is */
  async prepare(observer: LoadObserver): Promise<boolean> {
    if (typeof this.#outputs !== "function") return false;
    const { outputs, keep } = await this.#outputs(observer);
    if (keep !== undefined && this.#session === undefined && this.#ahead === undefined)
      await (await this.#runtime.load(outputs, { half: this.#half }, keep)).close();
    return true;
  }

  /**
   * Begins to load, in the hope that it is done when the model is needed. It is given up if the weights are not in the form in which
   * they are computed with: bringing them there takes long and is shown. What fails is tried again, and thrown, when the model is needed.
   * @returns when that has come to an end
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

  /** The loaded model. Two callers at once load it once; a load that failed is tried again. What is told is how long the caller waited. */
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
