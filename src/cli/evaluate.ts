import { fileURLToPath } from "node:url";
import { type Command, Option } from "commander";
import type { Evaluation, Figure } from "../mini/evaluate.ts";
import type { PhotoMaker } from "../pipeline/photomaker.ts";
import { type LoadOptions, parseLoadOptions } from "../pipeline/request.ts";
import { wholeNumber } from "./flag-values.ts";
import type { CliIo } from "./io.ts";
import { createProgress } from "./progress.ts";

/** Two folders up from src/cli and from dist/cli. */
const asset = (path: string): string => fileURLToPath(new URL(`../../assets/${path}`, import.meta.url));

export interface EvaluateTools {
  open(options: LoadOptions): Promise<Pick<PhotoMaker, "generateTogether"> & AsyncDisposable>;
}

interface Flags {
  readonly model: string;
  readonly judge: string;
  readonly people: number;
  readonly seed: number;
  readonly idImages: number;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly startMergeStep: number;
  readonly json?: boolean;
}

// Not inside evaluate(): in a function with `await using`, TypeScript 6 leaves the import's ".ts" as it is.
const parts = async () => ({
  ...(await import("../mini/evaluate.ts")),
  ...(await import("../runtime/ort-runtime.ts")),
  ...(await import("../weights/index.ts")),
});

const HELP = `
Example:
  photomaker evaluate mini --people 100 --seed 2 --json
The judge is a network of its own, trained beside the miniature and sharing nothing with it.
`;

export function addEvaluate(program: Command, io: CliIo, tools: EvaluateTools): void {
  const number = (flags: string, help: string, value: number, low: number, high: number): Option => {
    const [name] = flags.split(" ") as [string];
    return new Option(flags, help).argParser((text) => wholeNumber(text, name, low, high)).default(value);
  };
  program
    .command("evaluate")
    .description("Measures likeness and obedience to the text.")
    .command("mini")
    .description("Judges the miniature on people whom its training has not seen.")
    .option("-m, --model <folder>", "the miniature", asset("miniature"))
    .option("--judge <file>", "the judge's weights", asset("judge/weights.safetensors"))
    .addOption(number("--people <n>", "how many", 100, 2, 10000))
    .addOption(number("--seed <n>", "which people: any but training's seed", 2, 0, 2 ** 32 - 1))
    .addOption(number("--id-images <n>", "photos of each person", 4, 1, 4))
    .addOption(number("--steps <n>", "denoising steps", 25, 1, 1000))
    .addOption(new Option("--guidance-scale <x>", "how closely to follow the text").argParser(Number).default(3))
    .addOption(number("--start-merge-step <n>", "the step after which the person is merged in", 0, -1, 1000))
    .option("--json", "one JSON object for programs to read")
    .addHelpText("after", HELP)
    .action((flags: Flags) => evaluate(flags, io, tools));
}

async function evaluate(flags: Flags, io: CliIo, { open }: EvaluateTools): Promise<void> {
  const { model, judge, json = false } = flags;
  const progress = createProgress(io, { json });
  const { evaluateMiniature, ortRuntime, openTensors } = await parts();
  await using withAdapter = await open(parseLoadOptions({ model, adapter: `${model}/photomaker-v1.safetensors` }));
  await using without = await open(parseLoadOptions({ model }));
  const runtime = ortRuntime();
  try {
    const onProgress = (done: number, total: number) => progress.show({ label: "pictures", done, total });
    const { tensors } = await openTensors(judge);
    const result = await evaluateMiniature({ ...flags, judge: tensors, withAdapter, without, runtime, onProgress });
    progress.clear();
    io.stdout.write(json ? `${JSON.stringify(result, null, 2)}\n` : table(result));
  } finally {
    progress.clear();
    await runtime.close();
  }
}

function table(e: Evaluation): string {
  const line = (name: string, { value, error, real }: Figure, none?: number): string =>
    `${name.padEnd(26)}${value.toFixed(3)} ± ${error.toFixed(3)}   real ${real.toFixed(3)}${none === undefined ? "" : `   without ID ${none.toFixed(3)}`}\n`;
  return [
    `${e.people} people\n`,
    line("face similarity", e.faceSim, e.faceSim.none),
    line("  as a share", e.faceSimShare),
    line("the right one of 64", e.rank1),
    ...(["hairStyle", "eyeColour", "hairColour"] as const).map((kind) => line(kind, e[kind])),
    ...Object.entries(e.text).map(([kind, figure]) => line(`text: ${kind}`, figure, figure.none)),
    `text lost                 ${e.textLoss.value.toFixed(1)} points\n`,
    `autoencoder               ${e.vaePsnr.value.toFixed(1)} dB\n`,
  ].join("");
}
