import type { Runtime, Session } from "../runtime/runtime.ts";
import type { UNetGraph } from "./graphs.ts";
import { LazySession, type LoadObserver } from "./lazy-session.ts";

/** A UNet in two parts, as DeepCache runs it. */
export interface UNetPartSessions {
  readonly deep: Session<"deep">;
  readonly outer: Session<"noise">;
}

/** The UNet whole, or in two parts that give the same to the bit. Only one form is in memory: to ask for the other frees the first. */
export class UNetSessions {
  readonly #graph: UNetGraph;
  readonly #runtime: Runtime;
  readonly #whole: LazySession<"noise">;
  #parts: { readonly deep: LazySession<"deep">; readonly outer: LazySession<"noise"> } | undefined;

  #areParts = false;

  constructor(graph: UNetGraph, runtime: Runtime) {
    this.#graph = graph;
    this.#runtime = runtime;
    this.#whole = new LazySession(runtime, "unet", graph.outputs);
  }

  get areParts(): boolean {
    return this.#areParts;
  }

  async whole(observer: LoadObserver): Promise<Session<"noise">> {
    await this.#unloadParts();
    this.#areParts = false;
    return this.#whole.get(observer);
  }

  async parts(observer: LoadObserver): Promise<UNetPartSessions> {
    await this.#whole.unload();
    if (this.#parts === undefined) {
      const { deep, outer } = this.#graph.parts();
      this.#parts = {
        deep: new LazySession(this.#runtime, "unet: deep layers", deep),
        outer: new LazySession(this.#runtime, "unet: outer layers", outer),
      };
    }
    const { deep, outer } = this.#parts;
    this.#areParts = true;
    return { deep: await deep.get(observer), outer: await outer.get(observer) };
  }

  async unload(): Promise<void> {
    this.#areParts = false;
    await this.#whole.unload();
    await this.#unloadParts();
  }

  async #unloadParts(): Promise<void> {
    await this.#parts?.deep.unload();
    await this.#parts?.outer.unload();
  }
}
