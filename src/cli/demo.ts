import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { type LoadOptions, parseLoadOptions } from "../contract/request.ts";
import type { LoadingOptions } from "../pipeline/load/local-models.ts";
import type { PhotoMaker } from "../pipeline/photomaker.ts";
import { openPictureFiles, STDOUT } from "./generate/picture-files.ts";
import { wholeNumberOption } from "./terminal/flag-values.ts";
import type { CliIo } from "./terminal/io.ts";
import { createProgress } from "./terminal/progress.ts";

/** Two folders up from src/cli and from dist/cli. */
const MINIATURE = fileURLToPath(new URL("../../assets/miniature", import.meta.url));

export interface DemoTools {
  open(options: LoadOptions, how: LoadingOptions): Promise<Pick<PhotoMaker, "generateTogether"> & AsyncDisposable>;
}

/** Seed of the demo's people. Training used those of seed 1. */
const SEED = 14;

// Not inside demo(): in a function with `await using`, TypeScript 6 leaves the import's ".ts" as it is.
const demoParts = async () => ({
  ...(await import("../miniature/demo-plan.ts")),
  ...(await import("../miniature/demo-sheet.ts")),
  ...(await import("../faces/networks/open-drawn.node.ts")),
  ...(await import("../sessions/runtimes.node.ts")),
});

const HELP = `
It needs no download: the model is included. It is a complete PhotoMaker for small pictures, trained on drawn people
(docs/miniature.md). For real pictures see "photomaker generate --help".

Examples:
  photomaker demo
  photomaker demo --seed 15 --out others.png
`;

export function addDemo(program: Command, io: CliIo, tools: DemoTools): void {
  program
    .command("demo")
    .summary("see what PhotoMaker does, with the small model that is included")
    .description(
      "Draws people whom the miniature has never seen, generates new pictures of them, and puts everything on one sheet.\nGenerated pictures have 128x128 pixels.",
    )
    .option("-o, --out <file>", "PNG to write; an existing file is replaced", "out/demo.png")
    .addOption(
      wholeNumberOption("--seed <n>", "chooses the people and the noise of their pictures", 0, 2 ** 32 - 1).default(SEED),
    )
    .option("--model <folder>", "another miniature, as made by `photomaker train mini`", MINIATURE)
    .option("-q, --quiet", "show no progress")
    .addHelpText("after", HELP)
    .action((flags: DemoFlags) => demo(flags, io, tools));
}

interface DemoFlags {
  readonly out: string;
  readonly seed: number;
  readonly model: string;
  readonly quiet?: boolean;
}

async function demo({ out, seed, model, quiet = false }: DemoFlags, io: CliIo, { open }: DemoTools): Promise<void> {
  const start = io.now();
  const progress = createProgress(io, { quiet });
  const files = await openPictureFiles(out, io.stdout);
  try {
    const { demoPlan, demoSheet, openFacesOf, withRuntime } = await demoParts();
    const how = { signal: io.signal };
    await using withAdapter = await open(parseLoadOptions({ model, adapter: `${model}/photomaker-v1.safetensors` }), how);
    await using without = await open(parseLoadOptions({ model }), how);
    const sheet = await withRuntime({}, async (runtime) => {
      const faces = await openFacesOf(runtime, model);
      return demoSheet(
        demoPlan(seed, { faces: faces !== undefined }),
        { withAdapter, without, faces },
        { signal: io.signal, onProgress: (done, total) => progress.show({ label: "pictures", done, total }) },
      );
    });
    io.signal.throwIfAborted();
    const path = await files.write(sheet);
    progress.clear();
    const made = `Made in ${((io.now() - start) / 1000).toFixed(0)} s by the miniature, which has never seen these people`;
    if (path === STDOUT) progress.note(`${made}.`);
    else io.stdout.write(`${made}:\n${path}\n`);
  } finally {
    progress.clear();
    await files.tidy();
  }
}
