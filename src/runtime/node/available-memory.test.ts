import { totalmem } from "node:os";
import { afterEach, expect, test, vi } from "vitest";
import { availableMemory, freeableOf } from "./available-memory.ts";

afterEach(() => vi.restoreAllMocks());

test("available memory is what Linux can free, with swap", () => {
  const text =
    "MemTotal:       24684084 kB\nMemFree:        1 kB\nMemAvailable:   2000 kB\nSwapTotal: 9 kB\nSwapFree:   500 kB\n";
  expect(freeableOf(text)).toBe(2500 * 1024);
  expect(freeableOf("MemTotal:       24684084 kB\n")).toBeUndefined();
});

test("available memory is within a container's limit", () => {
  const granted = vi.spyOn(process, "constrainedMemory");
  granted.mockReturnValue(5e6);
  expect(availableMemory()).toBe(5e6);
  for (const none of [0, 2 ** 64]) {
    granted.mockReturnValue(none);
    expect(availableMemory()).toBeGreaterThan(5e6);
    expect(availableMemory()).toBeLessThan(totalmem() * 20);
  }
});
