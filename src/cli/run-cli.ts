import { readFileSync } from "node:fs";
import { Command } from "commander";
import { addBench, type BenchTools } from "./bench.ts";
import { addDemo, type DemoTools } from "./demo.ts";
import { addEvaluate, type EvaluateTools } from "./evaluate/evaluate.ts";
import { addFaces, type FacesTools } from "./faces/faces.ts";
import { addGenerate, type GenerateTools } from "./generate/generate.ts";
import { addInspect, type InspectTools } from "./inspect/inspect.ts";
import { addInspectPrompt } from "./inspect/inspect-prompt.ts";
import { addCache, type CacheTools } from "./models/cache.ts";
import { addDownload, type DownloadTools } from "./models/download.ts";
import { addSetup, type SetupTools } from "./models/setup.ts";
import { withNamedCommand } from "./named-command.ts";
import type { CliIo } from "./terminal/io.ts";
import { EXIT, reportError } from "./terminal/report-error.ts";
import { addTrain, type TrainTools } from "./train/train.ts";
import { addWorld, type WorldTools } from "./world/world.ts";

export type CliTools = GenerateTools &
  DownloadTools &
  SetupTools &
  InspectTools &
  WorldTools &
  DemoTools &
  TrainTools &
  EvaluateTools &
  CacheTools &
  FacesTools &
  BenchTools;

const HELP = `
Examples:
  photomaker demo
  photomaker setup
  photomaker download TencentARC/PhotoMaker
  photomaker generate -m SG161222/RealVisXL_V4.0 -a TencentARC/PhotoMaker -i me1.jpg me2.jpg -p "a photo of a woman img as a pilot"
  photomaker inspect style.safetensors
  photomaker world sheet --out sheet.png

"photomaker <command> --help" explains each command. Exit codes: 0 success, 1 an error you can correct, 2 wrong usage,
70 a bug in photomaker, 130 stopped with Ctrl-C. Make pictures of people only with their consent.
`;

/**
 * Runs the command line.
 * @param args without node and script
 * @returns the exit code
 */
export async function runCli(args: readonly string[], io: CliIo, tools: CliTools): Promise<number> {
  const program = commandLine(io, tools);
  try {
    await program.parseAsync(withNamedCommand(program, args), { from: "user" });
    return io.signal.aborted ? EXIT.interrupted : EXIT.ok; // a stopped bench returns normally with its measurements so far
  } catch (error) {
    return reportError(error, io, args.includes("--json"));
  }
}

/** All commands with their flags and help texts. */
export function commandLine(io: CliIo, tools: CliTools): Command {
  const program = new Command("photomaker")
    .description("Makes new pictures of a person from a few photos and a prompt: PhotoMaker on SDXL, on your own machine.")
    .version(version(), "-V, --version")
    .addHelpText("after", HELP)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => {}, // reportError prints it
      getOutHelpWidth: () => io.stdout.columns ?? 120,
      getErrHelpWidth: () => io.stderr.columns ?? 120,
    });
  addGenerate(program, io, tools);
  addSetup(program, io, tools);
  addFaces(program, io, tools);
  addDownload(program, io, tools);
  addCache(program, io, tools);
  addInspect(program, io, tools);
  addInspectPrompt(program, io);
  addTrain(program, io, tools);
  addWorld(program, io, tools);
  addDemo(program, io, tools);
  addEvaluate(program, io, tools);
  addBench(program, io, tools);
  return program;
}

/** Version from package.json, two folders up from both src/cli and dist/cli. */
const version = (): string =>
  (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }).version;
