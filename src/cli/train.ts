import { type Command, Option } from "commander";
import { UserError } from "../core/errors.ts";
import type { StageName } from "../mini/make.ts";
import { wholeNumber } from "./flag-values.ts";
import type { CliIo } from "./io.ts";
import { createProgress } from "./progress.ts";

export interface TrainTools {
  readonly mini: () => Promise<Pick<typeof import("../mini/make.ts"), "makeMiniature" | "DEFAULT_STEPS" | "STAGES">>;
}

interface MiniFlags {
  readonly out: string;
  readonly people: number;
  readonly seed: number;
  readonly workers?: number;
  readonly stages?: string;
  readonly steps: readonly string[];
  readonly json?: boolean;
}

const HELP = `
Stages: vae, vision, judge, base, adapter. A finished stage is not done again; one that was stopped, with Ctrl-C or otherwise, goes on from its
last checkpoint when the same command is given again, as if it had not stopped. The result is <out>/miniature.

Examples:
  photomaker train mini --out mini
  photomaker train mini --out try --people 100 --steps vae=200 vision=100 judge=100 base=200 adapter=100
`;

export function addTrain(program: Command, io: CliIo, tools: TrainTools): void {
  const number = (flags: string, help: string, low: number, high: number): Option => {
    const [name] = flags.split(" ") as [string];
    return new Option(flags, help).argParser((text) => wholeNumber(text, name, low, high));
  };
  program
    .command("train")
    .description("Trains models.")
    .command("mini")
    .description("Makes the miniature from nothing: draws its world, trains each stage, writes the model.")
    .option("-o, --out <folder>", "where everything goes", "mini")
    .addOption(number("--people <n>", "people to learn from", 2, 1_000_000).default(6000))
    .addOption(number("--seed <n>", "another seed, another model", 0, 2 ** 32 - 1).default(7))
    .addOption(number("--workers <n>", "processor cores to use (default: all)", 1, 256))
    .option("--stages <list>", "only these, such as vae,vision")
    .option("--steps <stage=n...>", "updates of a stage", [])
    .option("--json", "one JSON object a line for programs to read")
    .addHelpText("after", HELP)
    .action((flags: MiniFlags) => trainMini(flags, io, tools));
}

async function trainMini({ out, stages, steps, json = false, ...flags }: MiniFlags, io: CliIo, tools: TrainTools): Promise<void> {
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
      signal: io.signal,
      steps: { ...DEFAULT_STEPS, ...Object.fromEntries(wanted) },
      ...(stages === undefined ? {} : { stages: stages.split(",").map(stageOf) }),
      onNote: (note) => tell({ note }, note),
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
