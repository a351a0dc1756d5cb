import type { Command } from "commander";
import { UserError } from "../../core/errors.ts";
import type { StageName } from "../../miniature/make.ts";
import { readJsonObject } from "../../weights/read-json.node.ts";
import { folderName, wholeNumber, wholeNumberOption } from "../terminal/flag-values.ts";
import type { CliIo } from "../terminal/io.ts";
import { createProgress } from "../terminal/progress.ts";
import { addTrainAblations } from "./train-ablations.ts";
import { phaseText, stepText } from "./training-text.ts";

export interface TrainTools {
  readonly adapter: () => Promise<
    Pick<typeof import("../../train/adapter/train-adapter.ts"), "trainAdapter"> &
      Pick<typeof import("../../train/adapter/config.ts"), "adapterConfig">
  >;
  readonly mini: () => Promise<Pick<typeof import("../../miniature/make.ts"), "makeMiniature" | "DEFAULT_STEPS" | "STAGES">>;
}

interface MiniFlags {
  readonly out: string;
  readonly people: number;
  readonly seed: number;
  readonly workers?: number;
  readonly stages?: string;
  readonly from?: string;
  readonly loraStrength: number;
  readonly steps?: readonly string[];
  readonly json?: boolean;
}

const HELP = `
Stages: vae, decoder, vision, judge, base, adapter, sharp, faces. To resume a stopped run, give the same command again: finished stages are not repeated, and a
stage that was stopped, with Ctrl-C or otherwise, continues from its last checkpoint. The result is <out>/miniature.

Examples:
  photomaker train mini --out mini
  photomaker train mini --out try --people 100 --steps vae=200 decoder=100 vision=100 judge=100 base=200 adapter=100 sharp=100 faces=100
`;

const TRAIN_HELP = `
Examples:
  photomaker train adapter --model sdxl --data people --init photomaker-v1.bin --out adapter
  photomaker train mini --out mini
  photomaker train ablations --out ablations
`;

const ADAPTER_HELP = `
The data folder has a folder for each person, with a caption (NAME.txt) and a mask (NAME_mask.png, white where the person is) beside each
picture; or it is the output of "photomaker world render". Whatever cannot be used is listed with its reason. The config is JSON; without
one, the paper's values are used. To resume a stopped run, give the same command again.

Examples:
  photomaker train adapter --model sdxl --data people --init photomaker-v1.bin --out adapter
  photomaker train adapter --model sdxl.safetensors --data people --config train.json --out adapter
`;

interface AdapterFlags {
  readonly model: string;
  readonly modelConfig?: string;
  readonly data: string;
  readonly config?: string;
  readonly init?: string;
  readonly out: string;
  readonly workers?: number;
  readonly threads?: number;
  readonly json?: boolean;
}

export function addTrain(program: Command, io: CliIo, tools: TrainTools): void {
  const train = program
    .command("train")
    .summary("train an adapter, or the miniature")
    .description("Trains an adapter for SDXL, or the miniature.")
    .addHelpText("after", TRAIN_HELP);
  train
    .command("adapter")
    .description("Trains a PhotoMaker V1 adapter for an SDXL model, on several pictures each of many people.")
    .requiredOption("-m, --model <path>", "SDXL model: a diffusers folder or a single file")
    .option("--model-config <folder>", "configs of a single-file model")
    .requiredOption("-d, --data <folder>", "people with their pictures, captions and masks")
    .option("-c, --config <file>", "training config as JSON (default: the paper's)")
    .option("--init <file>", "weights for the ID encoder to start from: an adapter, or CLIP's vision model")
    .requiredOption("-o, --out <folder>", "folder for everything", folderName)
    .addOption(wholeNumberOption("--workers <n>", "parallel sessions (default: one per core; for SDXL, one)", 1, 256))
    .addOption(wholeNumberOption("--threads <n>", "threads per worker (default: 1; for SDXL, all cores)", 1, 1024))
    .option("--json", "one JSON object a line for programs to read")
    .addHelpText("after", ADAPTER_HELP)
    .action((flags: AdapterFlags) => trainOnPhotos(flags, io, tools));
  train
    .command("mini")
    .description("Makes the miniature from scratch: draws its world, trains each stage and writes the model.")
    .option("-o, --out <folder>", "folder for everything", folderName, "mini")
    .addOption(wholeNumberOption("--people <n>", "number of people to train on", 2, 1_000_000).default(6000))
    .addOption(wholeNumberOption("--seed <n>", "seed of initial weights and batches", 0, 2 ** 32 - 1).default(7))
    .addOption(wholeNumberOption("--workers <n>", "processor cores to use (default: all)", 1, 256))
    .option("--stages <list>", "only these stages, such as vae,vision")
    .option(
      "--from <folder>",
      "earlier run or miniature to start from: its weights initialise the stages to train, and stages before them are copied from it",
    )
    .addOption(
      wholeNumberOption(
        "--lora-strength <percent>",
        "strength of the adapter's LoRA in the written model: below 100, pictures follow the text more and the person less",
        1,
        200,
      ).default(100),
    )
    .option("--steps <stage=n...>", "updates of a stage, such as base=8000 (default: as for the included miniature)")
    .option("--json", "one JSON object a line for programs to read")
    .addHelpText("after", HELP)
    .action((flags: MiniFlags) => trainMini(flags, io, tools));
  addTrainAblations(train, io);
}

async function trainMini(
  { out, stages, steps = [], loraStrength, json = false, ...flags }: MiniFlags,
  io: CliIo,
  tools: TrainTools,
): Promise<void> {
  const { makeMiniature, DEFAULT_STEPS, STAGES } = await tools.mini();
  const progress = createProgress(io, { json });
  const stageOf = (name: string): StageName => {
    const found = STAGES.find((stage) => stage === name);
    if (found !== undefined) return found;
    throw new UserError("train/stage", `There is no stage "${name}".`, `The stages are ${STAGES.join(", ")}.`);
  };
  const wanted = steps.map((text) => {
    const [name = "", count = ""] = text.split("=");
    return [stageOf(name), wholeNumber(count, `--steps ${name}`, 1, 100_000_000)] as const;
  });
  const tell = (value: object, text: string): void => {
    progress.clear();
    io.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text}\n`);
  };
  try {
    await makeMiniature({
      ...flags,
      folder: out,
      loraStrength: loraStrength / 100,
      signal: io.signal,
      steps: { ...DEFAULT_STEPS, ...Object.fromEntries(wanted) },
      ...(stages === undefined ? {} : { stages: stages.split(",").map(stageOf) }),
      onNotice: (note) => tell({ note }, note),
      onProgress: (at) => {
        if (json) io.stdout.write(`${JSON.stringify(at)}\n`);
        const { task, step, steps: total, loss, secondsLeft } = at;
        progress.show({ label: `${task} loss ${loss.toFixed(4)}`, done: step, total, secondsLeft });
      },
    });
    tell({ out }, `${out}/miniature`);
  } catch (error) {
    progress.clear();
    if (io.signal.aborted) progress.note("Stopped. What is done is kept: give the same command again to go on.");
    throw error;
  }
}

async function trainOnPhotos({ config, json = false, ...flags }: AdapterFlags, io: CliIo, tools: TrainTools): Promise<void> {
  const { trainAdapter, adapterConfig } = await tools.adapter();
  const progress = createProgress(io, { json });
  const tell = (value: object, text: string): void => {
    progress.clear();
    io.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text}\n`);
  };
  try {
    const path = await trainAdapter({
      ...flags,
      config: adapterConfig(config === undefined ? undefined : await readJsonObject(config)),
      signal: io.signal,
      onPhotos: ({ kept, dropped }) => {
        for (const { path, reason, message } of dropped) tell({ dropped: path, reason }, `left out: ${message}`);
        tell(kept, `${kept.photos} pictures of ${kept.people} people; ${dropped.length} left out`);
      },
      onNotice: (note) => progress.note(note),
      onBatch: ({ step, steps, batch, batches }) =>
        progress.show({ label: "adapter", done: step, total: steps, text: `${step}/${steps}, batch ${batch} of ${batches}` }),
      onPhase: (phase) => tell(phase, phaseText(phase)),
      onPrepare: (what, done, total) =>
        progress.show({ label: what === "read" ? "reading pictures" : "encoding pictures", done, total }),
      onProgress: (at) => {
        if (json) io.stdout.write(`${JSON.stringify(at)}\n`);
        progress.show({
          label: `adapter loss ${at.loss.toFixed(4)}`,
          done: at.step,
          total: at.steps,
          text: stepText(at),
          secondsLeft: at.secondsLeft,
        });
      },
    });
    tell({ out: path }, path);
  } catch (error) {
    progress.clear();
    if (io.signal.aborted) progress.note("Stopped. What is done is kept: give the same command again to go on.");
    throw error;
  }
}
