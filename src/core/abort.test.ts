import { expect, test } from "vitest";
import { orAborted } from "./abort.ts";

const never = (): Promise<never> => new Promise(() => undefined);

test("work that ends gives its result or its error", async () => {
  const { signal } = new AbortController();
  expect(await orAborted(Promise.resolve(7), signal)).toBe(7);
  expect(await orAborted(Promise.resolve(7), undefined)).toBe(7);
  await expect(orAborted(Promise.reject(new Error("broken")), signal)).rejects.toThrow("broken");
});

test("a signal rejects at once, with its reason, though the work goes on", async () => {
  const stop = new AbortController();
  const waiting = orAborted(never(), stop.signal);
  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await expect(orAborted(never(), stop.signal)).rejects.toThrow("enough");
});

test("work that fails after the abort is nobody's unhandled rejection", async () => {
  const stop = new AbortController();
  let fail: ((error: Error) => void) | undefined;
  const waiting = orAborted(
    new Promise<never>((_, reject) => {
      fail = reject;
    }),
    stop.signal,
  );
  stop.abort();
  await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
  fail!(new Error("too late"));
  await new Promise((resolve) => setTimeout(resolve, 1)); // an unhandled rejection would fail this test file
});
