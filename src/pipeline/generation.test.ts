import { expect, test } from "vitest";
import type { GenerateEvent } from "../contract/events.ts";
import { Generation } from "./generation.ts";

const notice = (message: string): GenerateEvent => ({ type: "notice", notice: { code: "prompt/cut", message } });
const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

test("events come in order, and the result can be awaited as well", async () => {
  const work = new Generation<number>(async (emit) => {
    emit(notice("a"));
    await later();
    emit(notice("b"));
    return 7;
  });
  const seen: GenerateEvent[] = [];
  for await (const event of work) seen.push(event);
  expect(seen).toEqual([
    { ...notice("a"), id: 0 },
    { ...notice("b"), id: 1 },
  ]);
  expect(await work).toBe(7);
});

test("an error is thrown to loops and to those who await the result", async () => {
  const fail = () => new Generation<number>(async () => Promise.reject(new Error("broken")));
  await expect(fail()).rejects.toThrow("broken");
  await expect(
    (async () => {
      for await (const _ of fail()) expect.fail("no event was sent");
    })(),
  ).rejects.toThrow("broken");
});

test("leaving the loop cancels the work", async () => {
  let cancelled = false;
  const work = new Generation<void>(async (emit, signal) => {
    for (let i = 0; i < 1000 && !signal.aborted; i++) {
      emit(notice(`${i}`));
      await later();
    }
    cancelled = signal.aborted;
  });
  for await (const _ of work) break;
  await work;
  expect(cancelled).toBe(true);
});

test("two loops over one generation receive every event, and a late loop earlier events except previews", async () => {
  const work = new Generation<number>(async (emit) => {
    emit(notice("a"));
    emit({ type: "preview", step: 1, images: [] });
    await later();
    emit(notice("b"));
    await later();
    emit(notice("c"));
    return 7;
  });
  const loop = async (leaveAt?: number): Promise<string[]> => {
    const seen: string[] = [];
    for await (const event of work) {
      seen.push(event.type === "notice" ? event.notice.message : event.type);
      if (seen.length === leaveAt) break;
    }
    return seen;
  };
  const [first, second, left] = await Promise.all([loop(), loop(), loop(1)]);
  expect(first).toEqual(second);
  expect(first.filter((name) => name !== "preview")).toEqual(["a", "b", "c"]);
  expect(left).toEqual(["a"]);
  expect(await loop()).toEqual(["a", "b", "c"]);
  expect(await work).toBe(7); // one loop that is left cancels nothing while others go on
});

test("a generation is a promise with catch and finally", async () => {
  const fail = () => new Generation<number>(async () => Promise.reject(new Error("broken")));
  expect(await fail().catch((error: unknown) => (error as Error).message)).toBe("broken");
  let ended = 0;
  const ok = new Generation<number>(async () => 7);
  expect(await ok.finally(() => ended++)).toBe(7);
  await expect(fail().finally(() => ended++)).rejects.toThrow("broken");
  expect(ended).toBe(2);
});

test("events emitted after the end are dropped", async () => {
  let emitted: ((event: GenerateEvent) => void) | undefined;
  const work = new Generation<void>(async (emit) => {
    emitted = emit;
  });
  await work;
  emitted!(notice("late"));
  for await (const _ of work) expect.fail("an event after the end");
});
