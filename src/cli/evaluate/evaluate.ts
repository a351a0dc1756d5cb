import { type Command, Option } from "commander";
import { type LoadOptions, parseLoadOptions } from "../../contract/request.ts";
import type { Figure } from "../../evaluate/statistics/bootstrap.ts";
import type { MiniatureScores } from "../../miniature/evaluate.ts";
import type { AdapterFigures, AgainstNone, TextKind } from "../../miniature/score.ts";
import type { LoadingOptions } from "../../pipeline/load/local-models.ts";
import type { PhotoMaker } from "../../pipeline/photomaker.ts";
import { SAMPLER_NAMES, type SamplerName } from "../../samplers/create-sampler.ts";
import { asset } from "../asset.ts";
import { folderName, wholeNumberOption } from "../terminal/flag-values.ts";
import type { CliIo } from "../terminal/io.ts";
import { createProgress } from "../terminal/progress.ts";
import { addEvaluateAblations } from "./evaluate-ablations.ts";
import { addEvaluateCompare } from "./evaluate-compare.ts";
import { addEvaluateScore } from "./evaluate-score.ts";

export interface EvaluateTools {
  open(
    options: LoadOptions,
    how: LoadingOptions,
  ): Promise<Pick<PhotoMaker, "generateTogether" | "encodeIdImages"> & AsyncDisposable>;
}

interface Flags {
  readonly model: string;
  readonly judge: string;
  readonly people: number;
  readonly pictures: number;
  readonly seed: number;
  readonly idImages: number;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly scheduler?: SamplerName;
  readonly startMergeStep: number;
  readonly precision: "f32" | "int8";
  readonly full?: boolean;
  readonly samples?: string;
  readonly json?: boolean;
}

// Not inside evaluate(): in a function with `await using`, TypeScript 6 leaves the import's ".ts" as it is.
const parts = async () => ({
  ...(await import("../../miniature/evaluate.ts")),
  ...(await import("../../runtime/node/ort-runtime.ts")),
  ...(await import("../../weights/index.ts")),
});

const HELP = `
The judge is a separate network that shares nothing with the miniature.

Examples:
  photomaker evaluate mini --people 100 --seed 2 --samples look --json
  photomaker evaluate mini --full
`;

const GROUP_HELP = `
Examples:
  photomaker evaluate score runs/a --people real/ --clip clip-vit-base-patch32/
  photomaker evaluate compare runs/a runs/b
  photomaker evaluate mini
`;

export function addEvaluate(program: Command, io: CliIo, tools: EvaluateTools): void {
  const command = program
    .command("evaluate")
    .summary("measure likeness to the person and faithfulness to the prompt")
    .description("Measures likeness to the person and faithfulness to the prompt.")
    .addHelpText("after", GROUP_HELP);
  addEvaluateScore(command, io);
  addEvaluateCompare(command, io);
  addEvaluateAblations(command, io);
  command
    .command("mini")
    .description("Evaluates the miniature on people not seen in training.")
    .option("-m, --model <folder>", "miniature to evaluate", asset("miniature"))
    .option("--judge <file>", "the judge's weights", asset("judge/weights.safetensors"))
    .addOption(wholeNumberOption("--people <n>", "number of people", 2, 10000).default(100))
    .addOption(
      wholeNumberOption(
        "--pictures <n>",
        "photos to generate per person, in addition to one picture in another style",
        1,
        64,
      ).default(4),
    )
    .addOption(wholeNumberOption("--seed <n>", "chooses the people; must differ from training's seed", 0, 2 ** 32 - 1).default(2))
    .addOption(wholeNumberOption("--id-images <n>", "ID images per person", 1, 4).default(4))
    .addOption(wholeNumberOption("--steps <n>", "denoising steps", 1, 1000).default(25))
    .addOption(new Option("--guidance-scale <x>", "how closely to follow the prompt").argParser(Number).default(3))
    .addOption(new Option("--scheduler <name>", "scheduler (default: the model's)").choices(SAMPLER_NAMES))
    .addOption(wholeNumberOption("--start-merge-step <n>", "step after which the person is merged in", -1, 1000).default(0))
    .addOption(new Option("--precision <name>", "precision of the model").choices(["f32", "int8"]).default("f32"))
    .option("--full", "also evaluate one and two ID images, their average, and other merge steps")
    .option("--samples <folder>", "write people.png here: the first people's photos and the generated pictures", folderName)
    .option("--json", "print one JSON object")
    .addHelpText("after", HELP)
    .action((flags: Flags) => evaluate(flags, io, tools));
}

async function evaluate(flags: Flags, io: CliIo, { open }: EvaluateTools): Promise<void> {
  const { model, judge, precision, json = false } = flags;
  const progress = createProgress(io, { json });
  const { evaluateMiniature, ortRuntime, openTensors } = await parts();
  const how = { signal: io.signal };
  await using withAdapter = await open(
    parseLoadOptions({ model, adapter: `${model}/photomaker-v1.safetensors`, precision }),
    how,
  );
  await using without = await open(parseLoadOptions({ model, precision }), how);
  const runtime = ortRuntime();
  try {
    const onProgress = (done: number, total: number) => progress.show({ label: "pictures", done, total });
    const { tensors } = await openTensors(judge);
    const { signal } = io;
    const models = { judge: tensors, withAdapter, without, runtime };
    const result = await evaluateMiniature({ ...flags, ...models, signal, onProgress });
    progress.clear();
    io.stdout.write(json ? `${JSON.stringify(result, null, 2)}\n` : table(result));
  } finally {
    progress.clear();
    await runtime.close();
  }
}

function table(e: MiniatureScores): string {
  const all = [
    `${e.people} people; of each, ${e.pictures} photos and one picture in another style; value ± standard error\n`,
    adapterTable(e, e.people),
    line("autoencoder, dB", e.vaePsnr, 1),
    line("  within the face, dB", e.faceVaePsnr, 1),
    line("  likeness it preserves", e.reconstructionSim),
    ...(e.sharp === undefined ? [] : [sharpTable(e.sharp)]),
  ];
  for (const [name, figures] of Object.entries(e.variants ?? {})) all.push(`\n${name}\n`, adapterTable(figures, e.people));
  return all.join("");
}

const sharpTable = (s: NonNullable<MiniatureScores["sharp"]>): string =>
  [
    `sharp decoder, 128x128   (in brackets the VAE's pictures, upsampled)\n`,
    against("  real pictures, dB", s.psnr, s.vaePsnr),
    against("  within the face, dB", s.facePsnr, s.vaeFacePsnr),
    `${"  edges, share of drawn".padEnd(26)}${s.edges.toFixed(2)} (${s.vaeEdges.toFixed(2)}); generated pictures ${s.generatedEdges.toFixed(2)}\n`,
  ].join("");

const against = (name: string, { value, error }: Figure, other: Figure): string =>
  `${name.padEnd(26)}${value.toFixed(2)} ± ${error.toFixed(2)} (${other.value.toFixed(2)})\n`;

const adapterTable = (e: AdapterFigures, people: number): string =>
  [
    line("face similarity", e.faceSim),
    line("  as a share", e.faceSimShare),
    line(`the right one of ${Math.min(CROWD, people)}`, e.rank1),
    line("hair style", e.hairStyle),
    line("eye colour", e.eyeColour),
    line("hair colour", e.hairColour),
    ...Object.entries(e.text).map(([kind, figure]) => line(`text: ${WORDS[kind as TextKind]}`, figure)),
    line("text lost, points", e.textLoss, 1),
  ].join("");

/** Number of people among whom the right one must be nearest, if there are as many. */
const CROWD = 64;

const WORDS: Readonly<Record<TextKind, string>> = {
  background: "background",
  clothesColour: "clothes colour",
  accessory: "accessory",
  style: "other style",
  expression: "expression",
  framing: "framing",
};

function line(name: string, { value, error, real, ...more }: Figure | AgainstNone, digits = 3): string {
  const number = (v: number): string => v.toFixed(digits).padStart(6);
  const reals = real === null ? "" : `   real ${number(real)}`;
  return `${name.padEnd(26)}${number(value)} ± ${error.toFixed(digits)}${reals}${"none" in more ? `   without ID ${number(more.none)}` : ""}\n`;
}
