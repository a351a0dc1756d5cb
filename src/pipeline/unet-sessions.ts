import type { Session } from "../runtime/runtime.ts";
import type { CrossAttentionLayer, Outputs, UNetGraph } from "./graphs.ts";
import type { LazySession, LoadObserver } from "./lazy-session.ts";
import type { SettledRequest } from "./settle.ts";

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

export type UNetForm = "whole" | "parts" | "gated";

/** The UNet whole, or as a request's shortcut needs it. Only one form is in memory: to ask for another frees it. */
export class UNetSessions {
  readonly #graph: UNetGraph;
  readonly #lazy: OpenForm;
  #form: UNetForm | undefined;
  /** Made when it is first needed. */
  #gated: ReturnType<UNetGraph["gated"]> | undefined;
  #sessions: readonly LazySession<string>[] = [];
  /** Until what was there before is out of memory. */
  #freed: Promise<unknown> = Promise.resolve();

  constructor(graph: UNetGraph, lazy: OpenForm) {
    this.#graph = graph;
    this.#lazy = lazy;
  }

  /** See {@link LazySession.prepare}; the forms share what is prepared. */
  prepare(observer: LoadObserver): Promise<boolean> {
    const [whole] = this.#form === "whole" ? this.#sessions : [this.#lazy("unet", this.#graph.unfinished.outputs)];
    return whole!.prepare(observer);
  }

  /** The form that a request needs. What is in memory serves where it gives the same. */
  formFor({ deepCache, tGate }: Pick<SettledRequest, "deepCache" | "tGate">): UNetForm {
    if (tGate !== undefined) return "gated";
    return deepCache !== undefined || this.#form === "parts" ? "parts" : "whole";
  }

  /** Begins to load a form, as {@link LazySession.loadAhead} says, once what was there is freed. */
  async loadAhead(form: UNetForm, observer: Pick<LoadObserver, "noted">): Promise<void> {
    const sessions = await this.#of(form);
    for (const session of sessions) if (this.#sessions === sessions) await session.loadAhead(observer);
  }

  async whole(observer: LoadObserver): Promise<Session<"noise">> {
    const [whole] = await this.#loaded("whole", observer);
    return whole as Session<"noise">;
  }

  /** The same numbers to the bit, in two steps. */
  async parts(observer: LoadObserver): Promise<UNetPartSessions> {
    const [deep, outer] = await this.#loaded("parts", observer);
    return { deep, outer } as UNetPartSessions;
  }

  async gated(observer: LoadObserver): Promise<GatedSession> {
    const [session] = await this.#loaded("gated", observer);
    return { session: session!, layers: this.#gatedGraph().layers };
  }

  async unload(): Promise<void> {
    const before = this.#sessions;
    this.#sessions = [];
    this.#form = undefined;
    this.#freed = Promise.allSettled([this.#freed, ...before.map((session) => session.unload())]); // what fails has ended, and holds nothing
    await this.#freed;
  }

  async #loaded(form: UNetForm, observer: LoadObserver): Promise<Session[]> {
    const loaded: Session[] = [];
    for (const session of await this.#of(form)) loaded.push(await session.get(observer));
    return loaded;
  }

  /** The sessions of a form, loaded or yet to be loaded, when no other is left in memory. */
  async #of(form: UNetForm): Promise<readonly LazySession<string>[]> {
    if (this.#form !== form) {
      void this.unload();
      this.#sessions = this.#create(form);
      this.#form = form;
    }
    const sessions = this.#sessions;
    await this.#freed;
    return sessions;
  }

  #create(form: UNetForm): LazySession<string>[] {
    if (form === "gated") return [this.#lazy("unet", this.#gatedGraph().outputs)];
    if (form === "whole") return [this.#lazy("unet", this.#graph.unfinished.outputs)];
    const { deep, outer } = this.#graph.parts();
    return [this.#lazy("unet: deep layers", deep), this.#lazy("unet: outer layers", outer)];
  }

  #gatedGraph(): ReturnType<UNetGraph["gated"]> {
    this.#gated ??= this.#graph.gated();
    return this.#gated;
  }
}
