import { expect, test } from "vitest";
import { LeaseWatch } from "./lease-watch.ts";

function watchAt(): { watch: LeaseWatch; at: (ms: number, signs: string[]) => string[] } {
  let now = 0;
  const watch = new LeaseWatch(30, () => now);
  return {
    watch,
    at: (ms, signs) => {
      now = ms;
      return watch.silent(signs);
    },
  };
}

test("a lease is over when its sign has not changed for its time, seen from when it was first seen", () => {
  const { at } = watchAt();
  expect(at(10, ["a/1"])).toEqual([]);
  expect(at(20, ["a/1", "b/1"])).toEqual([]);
  expect(at(30, ["a/1", "b/2"])).toEqual([]);
  expect(at(40, ["a/1", "b/2"])).toEqual(["a/1"]);
  expect(at(50, ["a/2", "b/2"])).toEqual([]);
  expect(at(60, ["a/2", "b/2"])).toEqual(["b/2"]);
});

test("a watcher that could not look begins anew: the holders were perhaps asleep too, or could not reach the queue", () => {
  const { at } = watchAt();
  expect(at(10, ["a/1"])).toEqual([]);
  expect(at(500, ["a/1"])).toEqual([]);
  expect(at(520, ["a/1"])).toEqual([]);
  expect(at(530, ["a/1"])).toEqual(["a/1"]);
});
