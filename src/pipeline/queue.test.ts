import { expect, test } from "vitest";
import { Queue } from "./queue.ts";

/** Work that ends when the test says so. */
function held() {
  let end: (() => void) | undefined;
  const work = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { work: () => work, end: () => end!() };
}

test("work waits for earlier work, even if that fails", async () => {
  const queue = new Queue();
  const order: string[] = [];
  const [one, two] = [held(), held()];
  const first = queue.run(async () => {
    await one.work();
    order.push("first");
    throw new Error("broken");
  });
  const second = queue.run(async () => void order.push("second"));
  two.end();
  one.end();
  await expect(first).rejects.toThrow("broken");
  await second;
  expect(order).toEqual(["first", "second"]);
});

test("waiting work is cancelled at once, and never begins", async () => {
  const queue = new Queue();
  const before = held();
  const first = queue.run(before.work);
  const stop = new AbortController();
  let begun = false;
  const waiting = queue.run(async () => {
    begun = true;
  }, stop.signal);
  stop.abort();
  await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
  before.end();
  await first;
  await queue.run(async () => undefined);
  expect(begun).toBe(false);
});

test("running work is cancelled at once, and the next waits until it has really ended", async () => {
  const queue = new Queue();
  const stop = new AbortController();
  const slow = held();
  const order: string[] = [];
  const cancelled = queue.run(async () => {
    await slow.work();
    order.push("cleaned up");
  }, stop.signal);
  await Promise.resolve();
  stop.abort();
  await expect(cancelled).rejects.toMatchObject({ name: "AbortError" });
  const next = queue.run(async () => void order.push("next"));
  slow.end();
  await next;
  expect(order).toEqual(["cleaned up", "next"]);
});
