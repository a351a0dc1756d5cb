import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import type { LoadInput } from "../../contract/request.ts";
import type { Notice } from "../../core/notice.ts";
import type { LoadingOptions } from "../../pipeline/load/local-models.ts";
import { PhotoMaker } from "../../pipeline/photomaker.ts";
import { memoryHub, repositoryFiles } from "../../testing/memory-hub.ts";
import { cli, codeOf } from "../../testing/run-cli.ts";
import { keptLatents } from "../../train/adapter/kept-latents.ts";
import { addCache } from "./cache.ts";

const MINIATURE = join(import.meta.dirname, "../../../assets/miniature");
const folder = await mkdtemp(join(tmpdir(), "cache-"));
afterAll(() => rm(folder, { recursive: true }));

const tools = { cache: () => import("../../runtime/node/prepare/cache-folder.ts"), open: PhotoMaker.load };

function cache(...args: string[]) {
  const env = { PHOTOMAKER_CACHE: folder };
  vi.stubEnv("PHOTOMAKER_CACHE", folder);
  return cli(["cache", ...args], tools, { env });
}

test("prepared models are made, listed and deleted", async () => {
  expect((await cache("list")).out).toContain("0 models");
  const made = await cache("prepare", "-m", MINIATURE, "-a", join(MINIATURE, "photomaker-v1.safetensors"), "--quiet");
  expect(made.code, made.err).toBe(0);
  expect(made.out).toBe("text_encoder, text_encoder_2, id_encoder, unet, vae: prepared\n");
  const { out } = await cache("list");
  expect(out).toMatch(/unet\s+int8 .* miniature/);
  expect(out).toMatch(/id_encoder\s+int8 .* photomaker-v1\.safetensors/);
  expect(out).toContain(`5 models, 0.0`);
  const { models } = JSON.parse((await cache("list", "--json")).out) as {
    models: { key: string; model: string; bytes: number }[];
  };
  expect(models.map(({ model }) => model).sort()).toEqual(["id_encoder", "text_encoder", "text_encoder_2", "unet", "vae"]);

  expect((await cache("clear", "zzz")).err).toContain('No prepared model\'s key begins with "zzz"');
  expect(await codeOf((program, io) => addCache(program, io, tools), ["cache", "clear", "zzz"])).toBe("cache/no-such-model");
  expect((await cache("clear", models[0]!.key.slice(0, 8))).out).toContain("1 models deleted");
  expect(await readdir(folder)).toHaveLength(8);
  expect((await cache("clear")).out).toContain("4 models deleted");
  expect(await readdir(folder)).toEqual([]);
});

test("preparing needs a model, and a LoRA strength that is not a number is refused", async () => {
  expect(await cache("prepare")).toMatchObject({ code: 2 });
  const { code, err } = await cache("prepare", "-m", MINIATURE, "--lora", "x.safetensors:much");
  expect(code).toBe(1);
  expect(err).toContain('"much" is not a number');
});

test("files kept by trainings are listed and deleted, and a folder without any is refused", async () => {
  const run = join(folder, "run");
  await mkdir(join(run, "latents"), { recursive: true });
  await keptLatents(join(run, "latents")).write(`${"0a".repeat(12)}-${"1b".repeat(6)}-64`, Float32Array.of(1, 2, 3));
  await mkdir(join(run, "data"));
  await writeFile(join(run, "data", "mine.f32"), "not the training's");
  await writeFile(join(run, "metrics.jsonl"), "a training's own");
  const { out } = await cache("list", "--training", run);
  expect(out).toContain(`1 latents, 0.000 GB, in ${join(run, "latents")}`);
  const { training } = JSON.parse((await cache("list", "--json", "--training", run)).out);
  expect(training).toEqual([{ what: "latents", count: 1, bytes: 12, folder: join(run, "latents") }]);
  expect((await cache("clear", "--training", run)).out).toBe("1 latents deleted, 0.000 GB\n");
  expect((await readdir(run, { recursive: true })).sort()).toEqual([
    "data",
    join("data", "mine.f32"),
    "latents",
    "metrics.jsonl",
  ]);
  const refused = await cache("list", "--training", run);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain(`${run} holds nothing kept by a training`);
  const listing = codeOf((program, io) => addCache(program, io, tools), ["cache", "list", "--training", run]);
  expect(await listing).toBe("cache/no-training");
  await rm(run, { recursive: true });
});

test("prepare shows downloads, and Ctrl-C stops it at any point", async () => {
  const hub = memoryHub({ "org/mini": await repositoryFiles(MINIATURE) });
  const own = await mkdtemp(join(tmpdir(), "cache-prepare-"));
  vi.stubEnv("PHOTOMAKER_CACHE", join(own, "prepared"));
  const open = (input: LoadInput, how: LoadingOptions) => PhotoMaker.load(input, { ...how, cacheDir: own, fetch: hub.fetch });
  /** Prepares until `enough` has been written to stderr. */
  const prepare = async (enough?: string) => {
    const stop = new AbortController();
    let err = "";
    const stderr = {
      write: (text: string) => {
        err += text;
        if (enough !== undefined && text.startsWith(enough)) stop.abort(new DOMException("Stopped.", "AbortError"));
      },
    };
    const { code, out } = await cli(["cache", "prepare", "-m", "org/mini"], { open }, { stderr, signal: stop.signal });
    return { code, out, err };
  };
  expect(await prepare("download")).toMatchObject({ code: 130, err: expect.stringContaining("goes on where it ended") });
  expect(await prepare("prepare unet")).toMatchObject({ code: 130, err: expect.stringContaining("error: Stopped.") });
  const written = () => readdir(join(own, "prepared"));
  await vi.waitFor(async () => expect((await written()).filter((name) => name.endsWith(".part"))).toEqual([]), 5000);
  const { code, out, err } = await prepare();
  expect([code, out]).toEqual([0, "text_encoder, text_encoder_2, unet, vae: prepared\n"]);
  expect(err).not.toContain("download"); // it was in the cache by then
  expect(err).toMatch(/^prepare unet \d+\/\d+/m);
  expect((await written()).filter((name) => name.endsWith(".json"))).toHaveLength(4);
  await rm(own, { recursive: true });
});

test("a notice is marked as a note, once", async () => {
  const loaded = {
    prepare: async ({ onNotice }: { onNotice: (notice: Notice) => void }) => {
      onNotice({ code: "cache/packed", message: "It is packed again." });
      return ["unet"];
    },
    close: async () => {},
  } as unknown as PhotoMaker;
  const { code, err } = await cli(["cache", "prepare", "-m", "m", "--quiet"], { open: async () => loaded });
  expect([code, err]).toEqual([0, "note: It is packed again.\n"]);
});
