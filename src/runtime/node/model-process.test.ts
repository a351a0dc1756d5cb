import { type ChildProcess, fork } from "node:child_process";
import { EventEmitter } from "node:events";
import { afterEach, expect, test, vi } from "vitest";
import type { UserError } from "../../core/errors.ts";
import { MemoryGauge } from "./memory-gauge.ts";
import { ModelProcess } from "./model-process.ts";

vi.mock("node:child_process", async (original) => ({
  ...(await original<typeof import("node:child_process")>()),
  fork: vi.fn(),
}));
afterEach(() => void vi.mocked(fork).mockReset());

/** A handle that keeps the program alive, or does not. */
class Pipe extends EventEmitter {
  held = true;
  ref(): void {
    this.held = true;
  }
  unref(): void {
    this.held = false;
  }
}

/** A child process that the test controls. */
class Child extends Pipe {
  readonly pid = 1;
  readonly channel = new Pipe();
  readonly stdout = new Pipe();
  readonly stderr = new Pipe();
  readonly send = vi.fn();
  readonly kill = vi.fn();
  answer(id: number): void {
    this.emit("message", { id, memory: 1, peakMemory: 1 });
  }
}

function start(): { child: Child; process: ModelProcess } {
  const child = new Child();
  vi.mocked(fork).mockReturnValue(child as unknown as ChildProcess);
  return { child, process: new ModelProcess(new MemoryGauge()) };
}

const nothing = { kind: "release", session: 0 } as const;

test("a process keeps the program alive while an answer is awaited, and not when it is idle", async () => {
  const { child, process } = start();
  expect(child.held).toBe(false);
  const both = [process.ask(nothing), process.ask(nothing)];
  expect(child.held).toBe(true);
  child.answer(0);
  expect(child.held).toBe(true);
  child.answer(1);
  await Promise.all(both);
  expect([child, child.channel, child.stdout, child.stderr].map(({ held }) => held)).toEqual([false, false, false, false]);
});

test("output of libraries is hidden, and part of the error if the process ends by itself", async () => {
  const { child, process } = start();
  const lost = process.ask(nothing);
  child.stderr.emit("data", Buffer.from(`${"x".repeat(5000)} [E:onnxruntime] out of luck\n`));
  child.emit("close", null, "SIGSEGV");
  const error: UserError = await lost.then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toMatchObject({
    code: "runtime/ended",
    message: expect.stringMatching(/\(SIGSEGV\)\. Its last output: x+ \[E:onnxruntime\] out of luck$/),
  });
  expect(error.message.length).toBeLessThan(2200);
});

test("an answer that arrives while the process is being ended does not let the program exit before it has ended", async () => {
  const { child, process } = start();
  const lost = process.ask(nothing);
  const ended = process.end(new Error("enough"));
  await expect(lost).rejects.toThrow("enough");
  child.answer(0);
  expect(child.held).toBe(true);
  child.emit("close", null, "SIGKILL");
  await ended;
});

test("a failed process is ended, and its end awaited", async () => {
  const { child, process } = start();
  const [one, other] = [process.ask(nothing), process.ask(nothing)];
  child.emit("error", new Error("no room for messages"));
  await expect(one).rejects.toThrow("no room");
  await expect(other).rejects.toThrow("no room");
  child.answer(0);
  expect([process.alive, child.held]).toEqual([false, true]);
  expect(child.kill.mock.calls).toEqual([["SIGKILL"]]);
});
