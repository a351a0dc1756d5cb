import { expect, test } from "vitest";
import type { GenerateEvent } from "../contract/events.ts";
import { Generation } from "./generation.ts";

const notice = (code: string): GenerateEvent => ({ type: "notice", notice: { code, message: code } });
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

test("what goes wrong is thrown to whoever iterates or awaits", async () => {
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
