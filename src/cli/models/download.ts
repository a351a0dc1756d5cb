import type { Command } from "commander";
import { UserError } from "../../core/errors.ts";
import type { DownloadOptions } from "../../weights/hub/index.ts";
import { loading } from "../terminal/download-progress.ts";
import { folderName } from "../terminal/flag-values.ts";
import type { CliIo } from "../terminal/io.ts";
import { createProgress } from "../terminal/progress.ts";

export interface DownloadTools {
  readonly download: (id: string, options: DownloadOptions) => Promise<string>;
}

interface DownloadFlags {
  readonly revision?: string;
  readonly variant?: string;
  readonly cache?: string;
  readonly file?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const HELP = `
Files go to the cache shared by all Hugging Face programs (HF_HUB_CACHE, HF_HOME, else ~/.cache/huggingface/hub); files
already there are not downloaded again. From a diffusers model it downloads only what SDXL needs, in one variant. An
interrupted download resumes when the command is run again. Each file is checked against the hub's checksum.

HF_TOKEN        access token for gated or private models
HF_ENDPOINT     mirror of the hub
HF_HUB_OFFLINE  1: use only files in the cache

Examples:
  photomaker download stabilityai/stable-diffusion-xl-base-1.0 --variant fp16
  photomaker download TencentARC/PhotoMaker
  photomaker download SG161222/RealVisXL_V4.0@main:RealVisXL_V4.0.safetensors
`;

export function addDownload(program: Command, io: CliIo, { download }: DownloadTools): void {
  program
    .command("download")
    .summary("download a model from the Hugging Face hub")
    .description("Downloads a model, an adapter or a LoRA from the Hugging Face hub and prints its path.")
    .argument("<id>", "org/name, org/name@revision or org/name:file")
    .option("--revision <name>", "branch, tag or commit (default: main)")
    .option("--variant <name>", "variant of the weights, such as fp16")
    .option("--file <path>", "download only this file of the repository")
    .option("--cache <folder>", "cache folder to use", folderName)
    .option("--json", "print the result, or the error, as JSON")
    .option("-q, --quiet", "show no progress")
    .addHelpText("after", HELP)
    .action(async (id: string, { revision, variant, cache, file, json, quiet }: DownloadFlags) => {
      if (file !== undefined && id.includes(":"))
        throw new UserError("download/file-twice", `A file is named both in ${id} and with --file.`, "Name it once.");
      const progress = createProgress(io, { json: json ?? false, quiet: quiet ?? false });
      try {
        const path = await download(file === undefined ? id : `${id}:${file}`, {
          revision,
          variant,
          cacheDir: cache,
          ...loading(io, progress),
        });
        progress.clear();
        io.stdout.write(json ? `${JSON.stringify({ path })}\n` : `${path}\n`);
      } finally {
        progress.clear();
      }
    });
}
