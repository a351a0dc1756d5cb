import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { untilAborted } from "./until-aborted.ts";

const never = new Promise<never>(() => {});

test("what work gives is given on, and the signal is left alone afterwards", async () => {
  const { signal } = new AbortController();
  expect(await untilAborted(Promise.resolve(3), signal)).toBe(3);
  expect(await untilAborted(Promise.resolve(4), undefined)).toBe(4);
  await expect(untilAborted(Promise.reject(new Error("broken")), signal)).rejects.toThrow("broken");
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("work that obeys no signal is left at once, with the signal's reason", async () => {
  const stop = new AbortController();
  const waiting = untilAborted(never, stop.signal);
  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await expect(untilAborted(never, stop.signal)).rejects.toThrow("enough");
});

test("work that fails after it was left is no unhandled rejection", async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", note);
  for (const already of [true, false]) {
    const stop = new AbortController();
    let fail!: (reason: unknown) => void;
    const work = new Promise<never>((_, reject) => {
      fail = reject;
    });
    if (already) stop.abort();
    const waiting = untilAborted(work, stop.signal);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
    fail(new Error("too late"));
  }
  await new Promise((later) => setTimeout(later, 5));
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});
