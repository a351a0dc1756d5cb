import type { Command } from "commander";
import { UserError } from "../../core/errors.ts";
import { asset } from "../asset.ts";
import { folderName, wholeNumberOption } from "../terminal/flag-values.ts";
import type { CliIo } from "../terminal/io.ts";
import { createProgress } from "../terminal/progress.ts";

interface Flags {
  readonly from: string;
  readonly out: string;
  readonly variants?: string;
  readonly seeds: number;
  readonly steps: number;
  readonly people: number;
  readonly workers?: number;
  readonly judge: string;
  readonly testPeople: number;
  readonly testPictures: number;
  readonly testSeed: number;
  readonly testSteps: number;
  readonly json?: boolean;
}

const HELP = `
Variants: reference, average, linear, one-id-image, id-background-noise, id-background-kept, no-masked-loss. Each retrains the miniature's
adapter on the same vae, vision and base, and is evaluated as by "photomaker evaluate mini". Results go to <out>/results.jsonl,
one line per run. To resume a stopped series, give the same command again: finished runs are not repeated. All runs of a folder
must have the same options, except variants and seeds.

Examples:
  photomaker train ablations --out ablations
  photomaker train ablations --out ablations --variants reference,average --seeds 5
  photomaker evaluate ablations --from ablations
`;

export function addTrainAblations(train: Command, io: CliIo): void {
  train
    .command("ablations")
    .description("Trains the miniature's adapter in the variants of the paper's section 5.3, and evaluates each.")
    .option("--from <folder>", "miniature whose other parts are used", asset("miniature"))
    .option("-o, --out <folder>", "folder for everything", folderName, "ablations")
    .option("--variants <list>", "only these variants, such as reference,average")
    .addOption(wholeNumberOption("--seeds <n>", "runs per variant", 1, 1000).default(3))
    .addOption(wholeNumberOption("--steps <n>", "updates per run", 1, 100_000_000).default(800))
    .addOption(wholeNumberOption("--people <n>", "number of people the miniature was trained on", 2, 1_000_000).default(6000))
    .addOption(wholeNumberOption("--workers <n>", "processor cores to use (default: all)", 1, 256))
    .option("--judge <file>", "the judge's weights", asset("judge/weights.safetensors"))
    .addOption(wholeNumberOption("--test-people <n>", "number of people to evaluate on", 2, 10_000).default(50))
    .addOption(
      wholeNumberOption(
        "--test-pictures <n>",
        "photos to generate per person, in addition to one picture in another style",
        1,
        64,
      ).default(4),
    )
    .addOption(
      wholeNumberOption("--test-seed <n>", "chooses the people; must differ from training's seed", 0, 2 ** 32 - 1).default(2),
    )
    .addOption(wholeNumberOption("--test-steps <n>", "denoising steps", 1, 1000).default(25))
    .option("--json", "print one JSON object per line")
    .addHelpText("after", HELP)
    .action((flags: Flags) => trainAblations(flags, io));
}

async function trainAblations({ variants, json = false, ...flags }: Flags, io: CliIo): Promise<void> {
  const { runAblations, ABLATION_NAMES } = await import("../../miniature/ablations.ts");
  const progress = createProgress(io, { json });
  const chosen = variants?.split(",").map((name) => {
    const found = ABLATION_NAMES.find((known) => known === name);
    if (found !== undefined) return found;
    throw new UserError("ablations/variant", `There is no variant "${name}".`, `The variants are ${ABLATION_NAMES.join(", ")}.`);
  });
  const { from, out, seeds, steps, people, workers, judge, testPeople, testPictures, testSeed, testSteps } = flags;
  try {
    await runAblations({
      from,
      folder: out,
      seeds,
      steps,
      people,
      workers,
      judge,
      signal: io.signal,
      ...(chosen && { variants: chosen }),
      test: {
        people: testPeople,
        pictures: testPictures,
        seed: testSeed,
        steps: testSteps,
        guidanceScale: 3,
        startMergeStep: 0,
      },
      onNotice: (note) => {
        progress.clear();
        io.stdout.write(json ? `${JSON.stringify({ note })}\n` : `${note}\n`);
      },
      onProgress: (at) => {
        if (json) io.stdout.write(`${JSON.stringify(at)}\n`);
        const { task, step, steps: total, loss, secondsLeft } = at;
        progress.show({ label: `${task} loss ${loss.toFixed(4)}`, done: step, total, secondsLeft });
      },
      onPictures: (done, total) => progress.show({ label: "pictures", done, total }),
    });
    progress.clear();
  } catch (error) {
    progress.clear();
    if (io.signal.aborted) progress.note("Stopped. Finished work is kept: give the same command again to resume.");
    throw error;
  }
}
