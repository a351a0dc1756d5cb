import { mkdtemp, readdir, readFile, rm, stat, statfs, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { floats } from "../../../core/array.ts";
import type { Notice } from "../../../core/notice.ts";
import { Checkpoint } from "../../../graph/checkpoint.ts";
import { namedDim } from "../../../graph/dim.ts";
import { input } from "../../../graph/ops/source.ts";
import type { Tensor } from "../../../graph/tensor.ts";
import { Weights } from "../../../graph/weights.ts";
import { vaeDecode } from "../../../models/vae.ts";
import { vaeConfig } from "../../../models/vae-config.ts";
import { openModel } from "../../../weights/index.ts";
import { ortRuntime } from "../ort-runtime.ts";
import { processor } from "../processor.ts";
import { graphPath, listPrepared, packedPath } from "./cache-folder.ts";
import { packedKey } from "./packed.ts";
import { prepare } from "./prepare.ts";

vi.mock("../processor.ts", () => ({ processor: vi.fn(() => ["this one"]) }));
vi.mock("node:fs/promises", async (original) => {
  const all = await original<typeof import("node:fs/promises")>();
  return { ...all, statfs: vi.fn(all.statfs) };
});

const MINIATURE = join(import.meta.dirname, "../../../../assets/miniature");
const folder = await mkdtemp(join(tmpdir(), "packed-"));
const cache = { folder, mostBytes: 1e9 };
const runtime = ortRuntime();
let picture: Readonly<Record<"picture", Tensor>>;
let channels = 0;

beforeAll(async () => {
  const { config, tensors } = (await openModel(MINIATURE)).components.vae;
  const sizes = vaeConfig(config, tensors);
  channels = sizes.latentChannels;
  const latents = input("latents", [1, channels, namedDim("height"), namedDim("width")]);
  const outputs = { picture: vaeDecode(latents, new Weights(new Checkpoint(tensors, "vae")), sizes) };
  picture = (await prepare({ model: "vae", from: "miniature", outputs, pairs: new Map() }, { cache }))(outputs);
});
afterAll(async () => {
  await runtime.close();
  await rm(folder, { recursive: true });
});

const told = (what: string): Notice => ({ code: "cache/packed", message: expect.stringContaining(what) });
const packed = async () => (await listPrepared(folder)).filter(({ precision }) => precision.includes("packed"));

/** Outputs at two sizes of a model that is loaded in this way, and its notices. @param kept false to load without packing */
async function decoded(kept = true, mostBytes = cache.mostBytes) {
  const notes: Notice[] = [];
  const keep = {
    cache: { folder, mostBytes },
    model: "vae",
    from: "miniature",
    bytes: 4e5,
    onNotice: (notice: Notice) => void notes.push(notice),
  };
  const session = await runtime.load(picture, { half: false }, kept ? keep : undefined);
  const pictures: Float32Array[] = [];
  for (const side of [6, 8]) {
    const latents = floats(
      Float32Array.from({ length: channels * side * side }, (_, i) => Math.sin(i * 7)),
      1,
      channels,
      side,
      side,
    );
    pictures.push((await session.run({ latents })).picture.data as Float32Array);
  }
  await session.close();
  return { pictures, notes };
}

test("a packed model gives the same bits, at any size", async () => {
  const plain = await decoded(false);
  expect(await packed()).toEqual([]);
  expect(await decoded()).toEqual({ ...plain, notes: [] });
  const [first, ...others] = await packed();
  expect(others).toEqual([]);
  expect(first).toMatchObject({ model: "vae", from: "miniature" });
  const before = await stat(graphPath(folder, first!.key));
  expect(await decoded()).toEqual({ ...plain, notes: [] });
  expect((await stat(graphPath(folder, first!.key))).mtimeMs).toBe(before.mtimeMs);
  expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
});

test.each([
  ["whose weights are cut short", (key: string) => truncate(packedPath(folder, key), 5000)],
  ["whose weights were edited", (key: string) => edit(packedPath(folder, key))],
  ["whose graph was edited", (key: string) => edit(graphPath(folder, key))],
  ["whose graph is gone", (key: string) => rm(graphPath(folder, key))],
])("a packed model %s is packed again, with a notice", async (_, damage) => {
  const whole = await decoded();
  await damage((await packed())[0]!.key);
  const again = await decoded();
  expect(again.pictures).toEqual(whole.pictures);
  expect(again.notes).toEqual([told("packed again")]);
  expect(await decoded()).toEqual(whole);
});

async function edit(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes.fill(7, bytes.length - 600);
  await writeFile(path, bytes);
}

test("the key of a packed model depends on disabled optimisations, and not on threads", () => {
  const model = Uint8Array.of(1, 2, 3);
  const key = (without: string, threads: number): string =>
    packedKey({
      model,
      options: { intraOpNumThreads: threads, extra: { optimization: { disable_specified_optimizers: without } } },
    });
  expect(key("", 1)).toBe(key("", 2));
  expect(key("BiasGeluFusion", 1)).not.toBe(key("", 1));
  expect(packedKey({ model, options: {} })).not.toBe(key("", 1));
});

test("the key of a packed model depends on the processor", async () => {
  await decoded();
  const before = await packed();
  vi.mocked(processor).mockReturnValueOnce(["another one"]);
  await decoded();
  expect(await packed()).toHaveLength(before.length + 1);
});

test("without space on the disk the model is loaded all the same, with a notice", async () => {
  const whole = await decoded();
  for (const { key } of await packed()) await rm(join(folder, `${key}.json`));
  const real = await statfs(folder);
  vi.mocked(statfs).mockResolvedValueOnce({ ...real, bavail: 1, bsize: 4096 } as Awaited<ReturnType<typeof statfs>>);
  const { pictures, notes } = await decoded();
  expect(pictures).toEqual(whole.pictures);
  expect(notes).toEqual([told("0.0 GB are free")]);
  expect(await packed()).toEqual([]);
});

test("a cache that is too small for a packed model keeps its entries", async () => {
  const before = await listPrepared(folder);
  const { notes } = await decoded(true, 1e6);
  expect(notes).toEqual([told("PHOTOMAKER_CACHE_GB")]);
  expect(await listPrepared(folder)).toEqual(before);
});
