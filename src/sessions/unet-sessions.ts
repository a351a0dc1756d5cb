import type { Session } from "../runtime/runtime.ts";
import type { CrossAttentionLayer, Outputs, UNetForms, UNetGraph } from "./graphs.ts";
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

/** What a request wants of the UNet. */
export interface UNetForm {
  readonly kind: keyof UNetForms;
  /** The factor of `downsampleTokens`: 1 where pixels look at all others. */
  readonly tokenDownsampling: number;
}

const WHOLE: UNetForm = { kind: "whole", tokenDownsampling: 1 };

/** What a request may ask for to save work. */
interface Shortcuts {
  readonly deepCache?: number | undefined;
  readonly tGate?: number | undefined;
  readonly tokenDownsampling?: number | undefined;
}

/** Of a form: loaded, or yet to be loaded. */
interface Opened {
  readonly form: UNetForm;
  readonly sessions: readonly LazySession<string>[];
  /** What {@link GatedSession} tells of them. */
  readonly layers: readonly CrossAttentionLayer[];
}

/** The UNet whole, or as a request's shortcut needs it. Only one form is in memory: to ask for another frees it. */
export class UNetSessions {
  readonly #graph: UNetGraph;
  readonly #lazy: OpenForm;
  #opened: Opened | undefined;
  /** Until what was there before is out of memory. */
  #freed: Promise<unknown> = Promise.resolve();

  constructor(graph: UNetGraph, lazy: OpenForm) {
    this.#graph = graph;
    this.#lazy = lazy;
  }

  /** See {@link LazySession.prepare}; the forms share what is prepared. */
  prepare(observer: LoadObserver): Promise<boolean> {
    const { sessions } = this.#has(WHOLE) ? this.#opened! : this.#create(WHOLE);
    return sessions[0]!.prepare(observer);
  }

  /** The form that a request needs. What is in memory serves where it gives the same. */
  formFor({ deepCache, tGate, tokenDownsampling = 1 }: Shortcuts): UNetForm {
    if (tGate !== undefined) return { kind: "gated", tokenDownsampling };
    const parts: UNetForm = { kind: "parts", tokenDownsampling };
    return deepCache !== undefined || this.#has(parts) ? parts : { kind: "whole", tokenDownsampling };
  }

  /** Begins to load a form, as {@link LazySession.loadAhead} says, once what was there is freed. */
  async loadAhead(form: UNetForm, observer: Pick<LoadObserver, "noted">): Promise<void> {
    const opened = await this.#of(form);
    for (const session of opened.sessions) if (this.#opened === opened) await session.loadAhead(observer);
  }

  async whole(tokenDownsampling: number, observer: LoadObserver): Promise<Session<"noise">> {
    const { loaded } = await this.#loaded({ kind: "whole", tokenDownsampling }, observer);
    return loaded[0] as Session<"noise">;
  }

  /** The same numbers to the bit, in two steps. */
  async parts(tokenDownsampling: number, observer: LoadObserver): Promise<UNetPartSessions> {
    const { loaded } = await this.#loaded({ kind: "parts", tokenDownsampling }, observer);
    return { deep: loaded[0], outer: loaded[1] } as UNetPartSessions;
  }

  async gated(tokenDownsampling: number, observer: LoadObserver): Promise<GatedSession> {
    const { loaded, layers } = await this.#loaded({ kind: "gated", tokenDownsampling }, observer);
    return { session: loaded[0]!, layers };
  }

  async unload(): Promise<void> {
    const before = this.#opened?.sessions ?? [];
    this.#opened = undefined;
    this.#freed = Promise.allSettled([this.#freed, ...before.map((session) => session.unload())]); // what fails has ended, and holds nothing
    await this.#freed;
  }

  async #loaded(form: UNetForm, observer: LoadObserver): Promise<Pick<Opened, "layers"> & { loaded: Session[] }> {
    const { sessions, layers } = await this.#of(form);
    const loaded: Session[] = [];
    for (const session of sessions) loaded.push(await session.get(observer));
    return { loaded, layers };
  }

  #has({ kind, tokenDownsampling }: UNetForm): boolean {
    const there = this.#opened?.form;
    return there?.kind === kind && there.tokenDownsampling === tokenDownsampling;
  }

  /** The sessions of a form, when no other is left in memory. */
  async #of(form: UNetForm): Promise<Opened> {
    if (!this.#has(form)) {
      void this.unload();
      this.#opened = this.#create(form);
    }
    const opened = this.#opened!;
    await this.#freed;
    return opened;
  }

  #create(form: UNetForm): Opened {
    const forms = this.#graph.forms(form.tokenDownsampling);
    if (form.kind === "gated") {
      const { outputs, layers } = forms.gated();
      return { form, sessions: [this.#lazy("unet", outputs)], layers };
    }
    if (form.kind === "whole") return { form, sessions: [this.#lazy("unet", forms.whole())], layers: [] };
    const { deep, outer } = forms.parts();
    return { form, sessions: [this.#lazy("unet: deep layers", deep), this.#lazy("unet: outer layers", outer)], layers: [] };
  }
}
