import type { JobEvent, Subscription } from "./jobs.ts";
import type { RecordReader } from "./records.ts";

/** Events read at once. */
const PAGE = 256;

/** Brings the events that were written, by whichever process, to those who listen. */
export interface EventPump {
  subscribe(subscription: Subscription, listener: (event: JobEvent) => void): Promise<() => void>;
  /** Looks at once, since this process wrote something. */
  wake(): void;
  /** Resolves when there may be something new, at the latest after a time. */
  changed(withinMs: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

interface Listening {
  readonly subscription: Subscription;
  readonly listener: (event: JobEvent) => void;
  /** Number of the last event told. */
  told: number;
  ended: boolean;
}

/** @param pollMs how often is looked for what other processes wrote, while somebody listens */
export function eventPump(read: <T>(work: (reader: RecordReader) => Promise<T>) => Promise<T>, pollMs: number): EventPump {
  const listening = new Set<Listening>();
  const waiting = new Set<() => void>();
  let closed = false;
  let looking: Promise<void> | undefined;
  let lookAgain = false;
  let timer: NodeJS.Timeout | undefined;

  const look = (): void => {
    if (closed || listening.size === 0) return;
    if (looking) {
      lookAgain = true;
      return;
    }
    looking = read((reader) => tellAll(reader, [...listening]))
      .catch(() => undefined) // out of reach: looked again soon
      .then(() => {
        looking = undefined;
        if (lookAgain) {
          lookAgain = false;
          look();
        }
      });
  };

  return {
    async subscribe(subscription, listener) {
      const one: Listening = { subscription, listener, told: 0, ended: false };
      await read((reader) => begin(reader, one));
      listening.add(one);
      timer ??= setInterval(look, pollMs).unref();
      look();
      return () => {
        one.ended = true;
        listening.delete(one);
        if (listening.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
      };
    },
    wake() {
      for (const go of [...waiting]) go();
      look();
    },
    changed(withinMs, signal) {
      return new Promise((resolve) => {
        const go = (): void => {
          clearTimeout(timeout);
          waiting.delete(go);
          signal.removeEventListener("abort", go);
          resolve();
        };
        const timeout = setTimeout(go, withinMs);
        waiting.add(go);
        signal.addEventListener("abort", go);
        if (signal.aborted) go();
      });
    },
    async close() {
      closed = true;
      clearInterval(timer);
      for (const one of listening) one.ended = true;
      listening.clear();
      await looking;
    },
  };
}

async function tellAll(reader: RecordReader, all: readonly Listening[]): Promise<void> {
  const counters = await reader.counters();
  if (!counters) return;
  const { event: newest, epoch } = counters;
  for (const one of all) {
    if (one.told > newest) one.told = reset(one, newest, epoch); // the shelf was emptied
    while (one.told < newest && !one.ended) {
      const events = await reader.events(one.told + 1, PAGE);
      if (events.length === 0) break;
      if (events[0]!.number !== one.told + 1) reset(one, events[0]!.number - 1, epoch);
      for (const event of events) {
        one.told = event.number;
        if (!one.ended && concerns(event, one.subscription)) one.listener(event);
      }
    }
  }
}

/** Begins after the event that the listener names, if it is still known, or else with what comes from now on. */
async function begin(reader: RecordReader, one: Listening): Promise<void> {
  const { event: newest, epoch } = (await reader.counters())!;
  const { after } = one.subscription;
  const [, of, digits] = /^(\w+)\.(\d{1,15})$/.exec(after ?? "") ?? [];
  const number = Number(digits);
  const oldest = (await reader.oldestEvent()) ?? newest + 1;
  const known = of === epoch && number <= newest && number >= oldest - 1;
  one.told = after === undefined ? newest : known ? number : reset(one, newest, epoch);
}

function reset(one: Listening, number: number, epoch: string): number {
  if (!one.ended) one.listener({ type: "reset", number, id: `${epoch}.${number}` });
  return number;
}

const concerns = (event: JobEvent, { job, owner }: Subscription): boolean =>
  !("job" in event) || ((job === undefined || event.job === job) && (owner === undefined || event.owner === owner));
