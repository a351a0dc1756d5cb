import type { Tensor } from "../graph/tensor.ts";
import type { Runtime, Session } from "../runtime/runtime.ts";
import type { CrossAttentionLayer, UNetGraph } from "./graphs.ts";
import { LazySession, type LoadObserver } from "./lazy-session.ts";

/** A UNet in two parts, as DeepCache runs it. */
export interface UNetPartSessions {
  readonly deep: Session<"deep">;
  readonly outer: Session<"noise">;
}

/** A UNet that can be told what its cross-attention layers say, as T-GATE runs it. */
export interface GatedSession {
  readonly session: Session;
  readonly layers: readonly CrossAttentionLayer[];
}

type Form = "whole" | "parts" | "gated";

/** The UNet whole, or as a request's shortcut needs it. Only one form is in memory: to ask for another frees it. */
export class UNetSessions {
  readonly #graph: UNetGraph;
  readonly #runtime: Runtime;
  #form: Form | undefined;
  #sessions: readonly LazySession<string>[] = [];

  constructor(graph: UNetGraph, runtime: Runtime) {
    this.#graph = graph;
    this.#runtime = runtime;
  }

  /** The form in memory. */
  get form(): Form | undefined {
    return this.#form;
  }

  async whole(observer: LoadObserver): Promise<Session<"noise">> {
    const [whole] = await this.#as("whole", observer, () => [this.#lazy("unet", this.#graph.outputs)]);
    return whole as Session<"noise">;
  }

  /** The same numbers to the bit, in two steps. */
  async parts(observer: LoadObserver): Promise<UNetPartSessions> {
    const [deep, outer] = await this.#as("parts", observer, () => {
      const graphs = this.#graph.parts();
      return [this.#lazy("unet: deep layers", graphs.deep), this.#lazy("unet: outer layers", graphs.outer)];
    });
    return { deep, outer } as UNetPartSessions;
  }

  async gated(observer: LoadObserver): Promise<GatedSession> {
    const { outputs, layers } = this.#graph.gated();
    const [session] = await this.#as("gated", observer, () => [this.#lazy("unet", outputs)]);
    return { session: session!, layers };
  }

  async unload(): Promise<void> {
    this.#form = undefined;
    await Promise.all(this.#sessions.map((session) => session.unload()));
  }

  #lazy(name: string, outputs: Readonly<Record<string, Tensor>>): LazySession<string> {
    return new LazySession(this.#runtime, name, outputs);
  }

  async #as(form: Form, observer: LoadObserver, create: () => LazySession<string>[]): Promise<Session[]> {
    if (this.#form !== form) {
      await this.unload();
      this.#sessions = create();
      this.#form = form;
    }
    const loaded: Session[] = [];
    for (const session of this.#sessions) loaded.push(await session.get(observer));
    return loaded;
  }
}
