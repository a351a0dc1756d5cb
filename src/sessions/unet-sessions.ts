import type { Session } from "../runtime/runtime.ts";
import type { Outputs } from "./graphs.ts";
import type { LazySession, LoadObserver } from "./lazy-session.ts";
import { type GraphExtension, LoadedUNet, partsOf, type UNetPart } from "./unet-form.ts";

/** Makes a session of an unfinished graph over the UNet's weights: with its LoRAs, in the precision that is wished. */
export type OpenForm = (name: string, outputs: Outputs) => LazySession<string>;

/** The UNet with some extensions: loaded, or yet to be loaded. */
interface Form {
  readonly extensions: readonly GraphExtension[];
  readonly parts: readonly { readonly part: UNetPart; readonly lazy: LazySession<string> }[];
}

/** The UNet, with the extensions that a request needs. Only one form is in memory: to ask for another frees it. */
export class UNetSessions {
  readonly #whole: Outputs;
  readonly #lazy: OpenForm;
  #opened: Form | undefined;
  /** Until what was there before is out of memory. */
  #freed: Promise<unknown> = Promise.resolve();

  /** @param whole the graph without extensions */
  constructor(whole: Outputs, lazy: OpenForm) {
    this.#whole = whole;
    this.#lazy = lazy;
  }

  /** See {@link LazySession.prepare}; all forms share what is prepared. */
  prepare(observer: LoadObserver): Promise<boolean> {
    const isWhole = this.#opened !== undefined && nameOf(this.#opened.extensions) === nameOf([]);
    return (isWhole ? this.#opened! : this.#create([])).parts[0]!.lazy.prepare(observer);
  }

  /** The name of the form that a request gets: the keys of its extensions. What is in memory serves where it gives the same. */
  formFor(extensions: readonly GraphExtension[]): string {
    return nameOf(this.#serving(extensions)?.extensions ?? extensions);
  }

  /** Begins to load what {@link get} gives, as {@link LazySession.loadAhead} says, once what was there is freed. */
  async loadAhead(extensions: readonly GraphExtension[], observer: Pick<LoadObserver, "noted">): Promise<void> {
    const form = await this.#of(extensions);
    for (const { lazy } of form.parts) if (this.#opened === form) await lazy.loadAhead(observer);
  }

  /** @param extensions in the order in which they rewrite the graph */
  async get(extensions: readonly GraphExtension[], observer: LoadObserver): Promise<LoadedUNet> {
    const { parts } = await this.#of(extensions);
    const loaded: { part: UNetPart; session: Session }[] = [];
    for (const { part, lazy } of parts) loaded.push({ part, session: await lazy.get(observer) });
    return new LoadedUNet(loaded);
  }

  async unload(): Promise<void> {
    const before = this.#opened?.parts ?? [];
    this.#opened = undefined;
    this.#freed = Promise.allSettled([this.#freed, ...before.map(({ lazy }) => lazy.unload())]); // what fails has ended, and holds nothing
    await this.#freed;
  }

  /** What is in memory, if it has these extensions, and beside them only such as serve without. */
  #serving(extensions: readonly GraphExtension[]): Form | undefined {
    const there = this.#opened?.extensions.filter(({ key }) => key !== undefined) ?? [];
    const wanted = new Set(extensions.flatMap(({ key }) => key ?? []));
    const others = there.filter(({ key }) => !wanted.has(key!));
    const serves = there.length - others.length === wanted.size && others.every(({ servesWithout }) => servesWithout);
    return serves ? this.#opened : undefined;
  }

  /** The sessions of a form, when no other is left in memory. */
  async #of(extensions: readonly GraphExtension[]): Promise<Form> {
    let form = this.#serving(extensions);
    if (form === undefined) {
      void this.unload();
      form = this.#create(extensions);
      this.#opened = form;
    }
    await this.#freed;
    return form;
  }

  #create(extensions: readonly GraphExtension[]): Form {
    const parts = partsOf(this.#whole, extensions);
    return { extensions, parts: parts.map((part) => ({ part, lazy: this.#lazy(part.name, part.outputs) })) };
  }
}

const nameOf = (extensions: readonly GraphExtension[]): string =>
  ["unet", ...extensions.flatMap(({ key }) => key ?? [])].join("+");
