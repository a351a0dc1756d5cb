import { expect, test } from "vitest";
import { byteSize, showDownload } from "./download-progress.ts";
import { createProgress, duration } from "./progress.ts";

function made(options: { isTTY?: boolean; quiet?: boolean; json?: boolean; env?: Record<string, string> }) {
  let text = "";
  let time = 0;
  const stream = { write: (part: string) => (text += part), isTTY: options.isTTY, columns: 60 };
  const io = {
    stdout: stream,
    stderr: stream,
    env: options.env ?? {},
    signal: new AbortController().signal,
    now: () => time,
    peakMemory: () => 0,
  };
  const progress = createProgress(io, options);
  return { progress, text: () => text, at: (ms: number) => (time = ms), now: io.now };
}
const step = (done: number) => ({ label: "denoise", done, total: 50, secondsLeft: 100 - done });

test("a terminal has a bar that is redrawn now and then, fits the width, and is removed", () => {
  const { progress, text, at } = made({ isTTY: true });
  progress.show(step(1));
  progress.show(step(2));
  at(100);
  progress.show(step(25));
  expect(text().match(/denoise/g)).toHaveLength(2);
  expect(text()).toContain("████████████░░░░░░░░░░░░ 25/50, 1:15 min");
  expect(text()).not.toContain("\n");
  for (const line of text().split("\r\x1b[2K")) expect(line.length).toBeLessThan(60);
  progress.clear();
  expect(text().endsWith("\r\x1b[2K")).toBe(true);
});

test.each([{ isTTY: false }, { isTTY: true, env: { TERM: "dumb" } }])("%j prints a line now and then", (options) => {
  const { progress, text, at } = made(options);
  for (let done = 0; done <= 50; done++) {
    at(done * 1000);
    progress.show(step(done));
    if (done === 50) progress.show(step(done));
  }
  progress.show({ label: "decode", done: 0, total: 1 });
  expect(text().split("\n")).toHaveLength(13); // 0, 5 … 50 and decode, each with its end
  expect(text()).toMatch(/^denoise 0\/50, 1:40 min left\n/);
  expect(text()).toMatch(/denoise 50\/50\ndecode 0\/1\n$/);
  expect(text()).not.toContain("\x1b");
});

test("quiet prints only notes, and json nothing", () => {
  for (const [options, expected] of [
    [{ isTTY: true, quiet: true, env: { NO_COLOR: "1" } }, "note: cut\n"],
    [{ isTTY: false, json: true }, ""],
  ] as const) {
    const { progress, text } = made(options);
    progress.show(step(1));
    progress.note("cut");
    expect(text()).toBe(expected);
  }
});

test("colour is for terminals without NO_COLOR", () => {
  for (const [isTTY, env, coloured] of [
    [true, {}, true],
    [true, { NO_COLOR: "1" }, false],
    [false, {}, false],
  ] as const) {
    const { progress, text } = made({ isTTY, env });
    progress.note("x");
    expect(text().includes("\x1b[33m")).toBe(coloured);
  }
});

test("a download shows bytes, speed and time left, without counting bytes already in the cache", () => {
  const { progress, text, at, now } = made({ isTTY: false });
  const show = showDownload(progress, now);
  show({ phase: "download", repo: "org/name", file: "a", bytes: 5e9, total: 7e9 });
  at(5000);
  show({ phase: "download", repo: "org/name", file: "a", bytes: 5.5e9, total: 7e9 });
  show({ phase: "wait", repo: "org/name", file: "a", bytes: 5.5e9, total: 7e9 });
  show({ phase: "wait", repo: "org/name", file: "a", bytes: 5.5e9, total: 7e9 });
  expect(text()).toBe(
    "download 5.0 GB of 7.0 GB\ndownload 5.5 GB of 7.0 GB, 100.0 MB/s, 15 s left\nnote: Another process is downloading a: waiting for it.\n",
  );
});

test("units", () => {
  expect([0, 59.6, 185, 3723].map(duration)).toEqual(["0 s", "1:00 min", "3:05 min", "1:02:03 h"]);
  expect([0, 999, 1500, 6.9e9, 5e15].map(byteSize)).toEqual(["0 B", "999 B", "1.5 kB", "6.9 GB", "5000.0 TB"]);
});
