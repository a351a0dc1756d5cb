import type { Session } from "../runtime/runtime.ts";
import type { CrossAttentionLayer, Outputs, UNetGraph } from "./graphs.ts";
import type { LazySession, LoadObserver } from "./lazy-session.ts";

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

/** Makes a session of an unfinished graph over the UNet's weights: with its LoRAs, in the precision that is wished. */
export type OpenForm = (name: string, outputs: Outputs) => LazySession<string>;

type Form = "whole" | "parts" | "gated";

/** The UNet whole, or as a request's shortcut needs it. Only one form is in memory: to ask for another frees it. */
export class UNetSessions {
  readonly #graph: UNetGraph;
  readonly #lazy: OpenForm;
  #form: Form | undefined;
  #sessions: readonly LazySession<string>[] = [];

  constructor(graph: UNetGraph, lazy: OpenForm) {
    this.#graph = graph;
    this.#lazy = lazy;
  }

  /** See {@link LazySession.prepare}; the forms share what is prepared. */
  prepare(observer: LoadObserver): Promise<boolean> {
    const [whole] = this.#form === "whole" ? this.#sessions : [this.#lazy("unet", this.#graph.unfinished.outputs)];
    return whole!.prepare(observer);
  }

  /** The form in memory. */
  get form(): Form | undefined {
    return this.#form;
  }

  async whole(observer: LoadObserver): Promise<Session<"noise">> {
    const [whole] = await this.#as("whole", observer, () => [this.#lazy("unet", this.#graph.unfinished.outputs)]);
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
