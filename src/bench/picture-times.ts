import type { GenerateEvent, ImageEvent } from "../contract/events.ts";

/** An event and its time, in seconds from the request's start. */
export interface TimedEvent {
  readonly at: number;
  readonly event: GenerateEvent;
}

/** Seconds spent in each part of a request. */
export interface PictureTimes {
  readonly width: number;
  readonly height: number;
  /** Loading of each model that was not loaded already. */
  readonly load: Readonly<Record<string, number>>;
  readonly text: number;
  /** Encoding photos to ID tokens and fusing them with the text; 0 without an adapter. */
  readonly id: number;
  /** Each evaluation of the denoiser. */
  readonly evaluations: readonly number[];
  /** Decoding all pictures of the request. */
  readonly decode: number;
  readonly total: number;
  /** Peak memory of the models' process so far, in bytes. */
  readonly modelMemory: number;
}

/** Times of a finished request; undefined if it did not finish. */
export function pictureTimes(events: readonly TimedEvent[]): PictureTimes | undefined {
  const done = events.map(({ event }) => event).find((event) => event.type === "done");
  const image = events.map(({ event }) => event).find((event): event is ImageEvent => event.type === "image");
  if (done === undefined || image === undefined) return undefined;
  const { load, encode, evaluations, decode, total } = done.timings;
  const id = idSeconds(events);
  const { width, height } = image;
  return { width, height, load, text: Math.max(0, encode - id), id, evaluations, decode, total, modelMemory: done.modelMemory };
}

/** Seconds spent on photos: read before the first text is encoded, encoded and fused after the last. Loading is not counted. */
function idSeconds(events: readonly TimedEvent[]): number {
  const encoding = events.flatMap(({ at, event }) =>
    event.type === "progress" && event.phase === "encode" ? [{ at, detail: event.detail, step: event.step }] : [],
  );
  const photos = encoding.findIndex(({ detail }) => detail === "photos");
  if (photos < 0) return 0;
  const [from, to] = [encoding[photos]!.at, encoding.at(-1)!.at];
  const loading = loads(events).reduce((sum, { start, end }) => (start >= from && end <= to ? sum + end - start : sum), 0);
  return encoding[0]!.at + to - from - loading;
}

interface Load {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

function loads(events: readonly TimedEvent[]): Load[] {
  const started = new Map<string, number>();
  const found: Load[] = [];
  for (const { at, event } of events) {
    if (event.type !== "progress" || event.phase !== "load" || event.detail === undefined) continue;
    if (event.step === 0) started.set(event.detail, at);
    else found.push({ name: event.detail, start: started.get(event.detail) ?? at, end: at });
  }
  return found;
}

/** Seconds spent preparing and loading each model that was not in the cache of prepared models, by name. */
export function preparations(events: readonly TimedEvent[]): Record<string, number> {
  const prepared = new Set(events.map(({ event }) => event.type === "progress" && event.phase === "prepare" && event.detail));
  return Object.fromEntries(
    loads(events)
      .filter(({ name }) => prepared.has(name))
      .map(({ name, start, end }) => [name, end - start]),
  );
}
