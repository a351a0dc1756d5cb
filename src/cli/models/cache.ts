import { resolve } from "node:path";
import type { Command } from "commander";
import type { LoadInput } from "../../contract/request.ts";
import { UserError } from "../../core/errors.ts";
import type { LoadingOptions } from "../../pipeline/load/local-models.ts";
import type { PhotoMaker } from "../../pipeline/photomaker.ts";
import type { PreparedModel } from "../../runtime/node/prepare/cache-folder.ts";
import { loading } from "../terminal/download-progress.ts";
import { pathAndScale } from "../terminal/flag-values.ts";
import type { CliIo } from "../terminal/io.ts";
import { createProgress } from "../terminal/progress.ts";
import type { KeptByTraining } from "./kept-by-training.ts";

export interface CacheTools {
  readonly cache: () => Promise<
    Pick<typeof import("../../runtime/node/prepare/cache-folder.ts"), "cacheOptions" | "listPrepared" | "removePrepared">
  >;
  readonly open: (options: LoadInput, how: LoadingOptions) => Promise<PhotoMaker>;
}

interface PrepareFlags {
  readonly model: string;
  readonly modelConfig?: string;
  readonly adapter?: string;
  readonly adapterScale?: number;
  readonly lora?: readonly string[];
  readonly quiet?: boolean;
}

const HELP = `
In int8, the default for large models on the processor, a checkpoint with its adapter and LoRAs is prepared once: the rounded weights are
written to the cache folder, named by a hash of their source, and later runs load them in seconds. Large models are also kept "packed" for
this processor. SDXL takes 11 GB in all.

PHOTOMAKER_CACHE     cache folder (default: the system's folder for caches)
PHOTOMAKER_CACHE_GB  largest size of the cache; the least recently used models are removed (default: 40)

Trainings keep encoded pictures in their own folders; --training lists and deletes those.

Examples:
  photomaker cache list
  photomaker cache list --training my-adapter
  photomaker cache prepare -m sdxl.safetensors -a photomaker-v1.bin
  photomaker cache clear
`;

const PREPARE_HELP = `
Examples:
  photomaker cache prepare -m sdxl.safetensors -a photomaker-v1.bin
  photomaker cache prepare -m sdxl.safetensors --lora style.safetensors:0.8
`;

export function addCache(program: Command, io: CliIo, tools: CacheTools): void {
  const cache = program
    .command("cache")
    .summary("list, make or delete prepared models")
    .description("Lists, makes or deletes prepared models.")
    .addHelpText("after", HELP);
  cache
    .command("list")
    .description("Lists prepared models, most recently used first.")
    .option("--training <folder...>", "also list latents and pictures kept in these training folders")
    .option("--json", "print the list as JSON")
    .addHelpText("after", "\nExamples:\n  photomaker cache list\n  photomaker cache list --json\n")
    .action(async ({ json = false, training: trainings = [] }: { json?: boolean; training?: readonly string[] }) => {
      const { cacheOptions, listPrepared } = await tools.cache();
      const { folder, mostBytes } = cacheOptions(io.env);
      const models = await listPrepared(folder);
      const kept = await listKept(trainings);
      if (json) {
        const training = trainings.length > 0 && {
          training: kept.map(({ entries, ...sum }) => ({ ...sum, folder: entries.path })),
        };
        io.stdout.write(`${JSON.stringify({ folder, mostBytes, models, ...training }, undefined, 2)}\n`);
        return;
      }
      for (const model of models) io.stdout.write(`${lineOf(model)}\n`);
      const total = models.reduce((sum, { bytes }) => sum + bytes, 0);
      io.stdout.write(`${models.length} models, ${gigabytes(total)} of at most ${gigabytes(mostBytes)}, in ${folder}\n`);
      for (const { count, what, bytes, entries } of kept)
        io.stdout.write(`${count} ${what}, ${gigabytes(bytes)}, in ${entries.path}\n`);
    });
  cache
    .command("clear")
    .description("Deletes prepared models. The checkpoints they were made from stay.")
    .argument("[keys...]", "keys, or the first letters of keys (default: all)")
    .option(
      "--training <folder...>",
      "delete instead latents and pictures kept in these training folders; they are remade when needed",
    )
    .addHelpText("after", "\nExamples:\n  photomaker cache clear\n  photomaker cache clear 3f9a2b\n")
    .action(async (keys: readonly string[], { training: trainings }: { training?: readonly string[] }) => {
      if (trainings !== undefined) {
        for (const { what, entries, count, bytes } of await listKept(trainings)) {
          for (const { key } of await entries.list()) await entries.remove(key);
          io.stdout.write(`${count} ${what} deleted, ${gigabytes(bytes)}\n`);
        }
        return;
      }
      const { cacheOptions, listPrepared, removePrepared } = await tools.cache();
      const { folder } = cacheOptions(io.env);
      const models = await listPrepared(folder);
      for (const key of keys)
        if (!models.some((model) => model.key.startsWith(key)))
          throw new UserError(
            "cache/no-such-model",
            `No prepared model's key begins with "${key}".`,
            '"photomaker cache list" shows them.',
          );
      const chosen = models.filter((model) => keys.length === 0 || keys.some((key) => model.key.startsWith(key)));
      for (const { key } of chosen) await removePrepared(folder, key);
      io.stdout.write(`${chosen.length} models deleted, ${gigabytes(chosen.reduce((sum, { bytes }) => sum + bytes, 0))}\n`);
    });
  cache
    .command("prepare")
    .description("Prepares a model with its adapter and LoRAs in advance, so that the first picture does not have to wait.")
    .requiredOption("-m, --model <path>", "SDXL model: a diffusers folder, a single file or a hub id")
    .option("--model-config <folder>", "folder with the configs of a single-file model")
    .option("-a, --adapter <path>", "PhotoMaker adapter: a file, a folder or a hub id")
    .option("--adapter-scale <number>", "strength of the adapter's LoRA", Number)
    .option("--lora <path:scale...>", "LoRAs and their strengths (default strength: 1)")
    .option("-q, --quiet", "show no progress")
    .addHelpText("after", PREPARE_HELP)
    .action((flags: PrepareFlags) => prepare(flags, io, tools));
}

/** Number and size of the entries that trainings keep, by kind. @throws UserError cache/no-training */
async function listKept(folders: readonly string[]) {
  const { keptByTraining } = await import("./kept-by-training.ts");
  const found: (KeptByTraining & { readonly count: number; readonly bytes: number })[] = [];
  for (const folder of folders) {
    const before = found.length;
    for (const kept of keptByTraining(resolve(folder))) {
      const entries = await kept.entries.list();
      const bytes = entries.reduce((sum, { bytes }) => sum + bytes, 0);
      if (entries.length > 0) found.push({ ...kept, count: entries.length, bytes });
    }
    if (found.length === before)
      throw new UserError(
        "cache/no-training",
        `${folder} holds nothing kept by a training.`,
        'Name the folder that was the --out of "photomaker train".',
      );
  }
  return found;
}

async function prepare({ lora = [], quiet = false, ...flags }: PrepareFlags, io: CliIo, tools: CacheTools): Promise<void> {
  const progress = createProgress(io, { json: false, quiet });
  const input = { ...flags, loras: lora.map(pathAndScale), precision: "int8" } as const;
  const loaded = await tools.open(input, loading(io, progress)).finally(() => progress.clear());
  try {
    const models = await loaded.prepare({
      signal: io.signal,
      onProgress: (model, done, total) => progress.show({ label: `prepare ${model}`, done, total }),
      onNotice: ({ message }) => progress.note(message),
    });
    progress.clear();
    io.stdout.write(`${models.join(", ")}: prepared\n`);
  } finally {
    progress.clear();
    await loaded.close();
  }
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 1e8 ? 3 : 1)} GB`;

const lineOf = ({ key, model, precision, from, bytes, lastUsed }: PreparedModel): string =>
  `${key.slice(0, 10)}  ${model.padEnd(14)} ${precision}  ${gigabytes(bytes).padStart(9)}  ${lastUsed.toISOString().slice(0, 10)}  ${from}`;
