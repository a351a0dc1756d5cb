import { expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { input } from "../graph/ops/source.ts";
import type { Feeds, Session } from "../runtime/runtime.ts";
import { type GraphExtension, LoadedUNet, partsOf, type UNetPart } from "./unet-form.ts";

const noise = input("noise", [1]);
const number = (n: number) => floats(Float32Array.of(n), 1);

test("extensions rewrite one after the other, and one splits what they have made", () => {
  const order: string[] = [];
  const adds = (name: string): GraphExtension => ({
    key: name,
    rewrite: (outputs) => {
      order.push(`${name} after ${Object.keys(outputs).join()}`);
      return { ...outputs, [name]: noise };
    },
  });
  const splits: GraphExtension = {
    key: "split",
    split: ({ noise: last, ...others }) => [
      { name: "first", outputs: others, gives: { a: "b" } },
      { name: "last", outputs: { noise: last! }, gives: {} },
    ],
  };
  expect(partsOf({ noise }, [splits, adds("a"), adds("c")]).map(({ outputs }) => Object.keys(outputs))).toEqual([
    ["a", "c"],
    ["noise"],
  ]);
  expect(order).toEqual(["a after noise", "c after noise,a"]);
  expect(partsOf({ noise }, [])).toEqual([{ name: "unet", outputs: { noise }, gives: {} }]);
  expect(() => partsOf({ noise }, [splits, { ...splits, key: "other" }])).toThrow("split twice, for split and for other");
});

test("a part runs only if something of it is wanted or needed by a later one", async () => {
  const log: string[] = [];
  const loaded = (part: UNetPart, run: (feeds: Feeds) => Feeds) => {
    const session = {
      run: async (feeds: Feeds, names: readonly string[]) => {
        log.push(`${part.name}: ${names.join()}`);
        return run(feeds);
      },
    } as unknown as Session;
    return { part, session };
  };
  const unet = new LoadedUNet([
    loaded({ name: "deep", outputs: { deep: noise, seen: noise }, gives: { deep: "feature" } }, ({ x }) => ({
      deep: x!,
      seen: number(7),
    })),
    loaded({ name: "outer", outputs: { noise }, gives: {} }, ({ feature }) => ({ noise: feature! })),
  ]);
  expect(await unet.run({ x: number(1) }, ["noise"])).toEqual({ noise: number(1), feature: number(1) });
  expect(await unet.run({ x: number(1), feature: number(2) }, ["noise"])).toEqual({ noise: number(2) });
  expect(await unet.run({ x: number(1), feature: number(2) }, ["noise", "seen"])).toEqual({ noise: number(2), seen: number(7) });
  expect(log).toEqual(["deep: deep", "outer: noise", "outer: noise", "deep: seen", "outer: noise"]);
});
