import { expect, test } from "vitest";
import { input } from "../graph/ops/source.ts";
import type { PackedCache, Runtime, Session } from "../runtime/runtime.ts";
import { LazySession, type LoadObserver, type Prepare } from "./lazy-session.ts";

/** A runtime whose loads end when the test says so, and that records what is done. */
function heldRuntime() {
  const log: string[] = [];
  const waiting: { readonly settle: () => void; readonly fail: (error: Error) => void }[] = [];
  const load = (): Promise<Session> =>
    new Promise((resolve, reject) => {
      log.push("load");
      const close = async (): Promise<void> => void log.push("close");
      waiting.push({ settle: () => resolve({ close } as unknown as Session), fail: reject });
    });
  return { log, waiting, runtime: { load } as unknown as Runtime };
}

function observed() {
  const told: string[] = [];
  const observer: LoadObserver = {
    loading: (name) => told.push(`loading ${name}`),
    loaded: (name) => told.push(`loaded ${name}`),
    preparing: (name, done) => told.push(`preparing ${name} ${done}`),
    noted: ({ code }) => told.push(code),
  };
  return { told, observer };
}

const outputs = { y: input("x", [1]) };
const silent = { noted: () => {} };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a load begun ahead serves the caller, reports how long the caller waited, and is not repeated", async () => {
  const { log, waiting, runtime } = heldRuntime();
  const { told, observer } = observed();
  const lazy = new LazySession(runtime, "unet", outputs);
  const ahead = lazy.loadAhead(silent);
  await turn();
  expect(log).toEqual(["load"]);
  expect(told).toEqual([]);
  const got = lazy.get(observer);
  expect(told).toEqual(["loading unet"]);
  waiting[0]!.settle();
  const session = await got;
  await ahead;
  expect(await lazy.get(observer)).toBe(session);
  await lazy.loadAhead(silent);
  expect(told).toEqual(["loading unet", "loaded unet"]);
  expect(log).toEqual(["load"]);
});

test("a load that failed ahead is tried again when the model is needed, and throws only then", async () => {
  const { log, waiting, runtime } = heldRuntime();
  const { observer } = observed();
  const lazy = new LazySession(runtime, "unet", outputs);
  const ahead = lazy.loadAhead(silent);
  await turn();
  waiting[0]!.fail(new Error("first"));
  await ahead;
  const got = lazy.get(observer);
  await turn();
  expect(log).toEqual(["load", "load"]);
  waiting[1]!.fail(new Error("second"));
  await expect(got).rejects.toThrow("second");
});

test("after a load that failed ahead, a model can be prepared or loaded ahead again", async () => {
  const { log, waiting, runtime } = heldRuntime();
  const { observer } = observed();
  const keep = {} as PackedCache;
  const lazy = new LazySession(runtime, "unet", async () => ({ outputs, keep }));
  for (const again of [1, 2]) {
    const ahead = lazy.loadAhead(silent);
    await turn();
    expect(log.length).toBe(again);
    waiting.at(-1)!.fail(new Error("it failed"));
    await ahead;
  }
  const prepared = lazy.prepare(observer);
  await turn();
  waiting.at(-1)!.settle();
  expect(await prepared).toBe(true);
  expect(log).toEqual(["load", "load", "load", "close"]);
});

test("nothing is prepared ahead: the caller that needs the model prepares it and reports that", async () => {
  const { log, waiting, runtime } = heldRuntime();
  const { told, observer } = observed();
  let made = 0;
  const prepare: Prepare<"y"> = async (observer) => {
    observer.noted({ code: "cache/prepared-again", message: "" });
    observer.preparing("unet", 0, 10);
    made++;
    return { outputs };
  };
  const lazy = new LazySession(runtime, "unet", prepare);
  const notes: string[] = [];
  await lazy.loadAhead({ noted: ({ code }) => notes.push(code) });
  expect([made, log, notes]).toEqual([0, [], ["cache/prepared-again"]]);
  const got = lazy.get(observer);
  await turn();
  waiting[0]!.settle();
  await got;
  expect(told).toEqual(["loading unet", "cache/prepared-again", "preparing unet 0", "loaded unet"]);
  expect(made).toBe(1);
});

test("unloading also frees a load begun ahead", async () => {
  const { log, waiting, runtime } = heldRuntime();
  const lazy = new LazySession(runtime, "unet", outputs);
  void lazy.loadAhead(silent);
  await turn();
  const unloaded = lazy.unload();
  waiting[0]!.settle();
  await unloaded;
  expect(log).toEqual(["load", "close"]);
});
