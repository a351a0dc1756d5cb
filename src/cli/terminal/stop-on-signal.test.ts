import { EventEmitter } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { stopOnSignal } from "./stop-on-signal.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A process whose signals the test sends. */
class Program extends EventEmitter {
  readonly pid = 7;
  said = "";
  readonly stderr = { write: (text: string) => (this.said += text) };
  readonly kill = vi.fn();
}

test.each([
  ["SIGINT", "SIGINT"],
  ["SIGTERM", "SIGTERM"],
  ["SIGINT", "SIGTERM"],
])("%s stops the work, and a following %s is left to the system", (first, second) => {
  const program = new Program();
  const signal = stopOnSignal(program);
  expect(signal.aborted).toBe(false);
  program.emit(first, first);
  expect(signal.reason).toMatchObject({ name: "AbortError", message: `Stopped by ${first}.` });
  expect(program.listenerCount(second)).toBe(0);
});

test("a slow stop is reported, and does not keep the program alive for ever", () => {
  const program = new Program();
  stopOnSignal(program);
  program.emit("SIGTERM", "SIGTERM");
  vi.advanceTimersByTime(4000);
  expect(program.said).toBe("");
  vi.advanceTimersByTime(2000);
  expect(program.said).toMatch(/^Stopping: .*Ctrl-C again.*\n$/);
  expect(program.kill).not.toHaveBeenCalled();
  vi.advanceTimersByTime(600_000);
  expect(program.kill.mock.calls).toEqual([[7, "SIGTERM"]]);
});
