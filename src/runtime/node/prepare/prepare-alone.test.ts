import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { Checkpoint } from "../../../graph/checkpoint.ts";
import { input } from "../../../graph/ops/source.ts";
import { Weights } from "../../../graph/weights.ts";
import { linear } from "../../../nn/layers.ts";
import { randomWeights } from "../../../testing/random-weights.ts";
import { listPrepared, preparedIn } from "./cache-folder.ts";
import { prepare } from "./prepare.ts";
import { prepareInCache } from "./prepare-in-cache.ts";

const folder = await mkdtemp(join(tmpdir(), "alone-"));
afterAll(() => rm(folder, { recursive: true }));

const tensors = await randomWeights(join(folder, "weights.safetensors"), { "layer.weight": [64, 96], "layer.bias": [64] }, 3);
const y = linear(input("x", [2, 96]), new Weights(new Checkpoint(tensors, "test")).at("layer"), { out: 64 });
const what = { model: "unet", from: "test", outputs: { y }, pairs: new Map() };

test("of two callers that need the same weights, one prepares them and the other uses them", async () => {
  const cache = { folder: join(folder, "two"), mostBytes: 1e9 };
  const steps: string[] = [];
  const one = (name: string) =>
    prepare(what, { cache, onProgress: (done, total) => done === total && steps.push(name), onWait: () => steps.push("waits") });
  const [a, b] = await Promise.all([one("a"), one("b")]);
  expect(steps.filter((step) => step !== "waits")).toHaveLength(1);
  expect(steps).toContain("waits");
  expect(a(what.outputs).y.shape).toEqual(b(what.outputs).y.shape);
  expect(await listPrepared(cache.folder)).toHaveLength(1);
  expect((await readdir(cache.folder)).filter((name) => name.endsWith(".lock"))).toEqual([]);
});

test("a caller that waits for another preparation gets cache/waiting, and obeys a signal at once", async () => {
  const first = join(folder, "first");
  await prepare(what, { cache: { folder: first, mostBytes: 1e9 } });
  const { key } = (await listPrepared(first))[0]!;
  vi.stubEnv("PHOTOMAKER_CACHE", join(folder, "waiting"));
  const cancel = new AbortController();
  const notices: string[] = [];
  let preparing: Promise<unknown> = Promise.resolve();
  await mkdir(join(folder, "waiting"));
  await preparedIn(join(folder, "waiting")).lock(key, {}, async () => {
    preparing = prepareInCache(what, {
      signal: cancel.signal,
      preparing: () => {},
      noted: ({ code }) => {
        notices.push(code);
        cancel.abort(new Error("enough"));
      },
    });
    await expect(preparing).rejects.toThrow("enough");
  });
  expect(notices).toEqual(["cache/waiting"]);
  expect(await readdir(join(folder, "waiting"))).toEqual([]);
  vi.unstubAllEnvs();
});
