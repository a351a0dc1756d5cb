import type { Command } from "commander";
import { UserError } from "../../core/errors.ts";
import type { Scores } from "../../evaluate/run/scores.ts";
import { MEASURE_NAMES, MEASURES } from "../../evaluate/run/scores.ts";
import type { CliIo } from "../terminal/io.ts";
import { createProgress } from "../terminal/progress.ts";

interface Flags {
  readonly people?: string;
  readonly reference?: string;
  readonly clip?: string;
  readonly dino?: string;
  readonly lpips?: [string, string];
  readonly inception?: string;
  readonly faces: boolean;
  readonly trigger: string;
  readonly promptsRandom?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const HELP = `
The folder has pictures.jsonl, a line for each picture, of whatever program:
  {"file": "0.png", "person": "anna", "prompt": "a photo of a woman in the snow", "seed": 0}
--people has a folder for each person, anna/1.jpg …; what was given to the model lies in anna/id/ and is not compared with.
A measure whose network is not given is left out and named. Scores go to scores.json in the folder; features are kept beside it.

Examples:
  photomaker evaluate score runs/a --people real/
  photomaker evaluate score runs/a --people real/ --clip clip-vit-base-patch32/ --dino dino_deitsmall16_pretrain.pth --lpips alexnet.pth alex.pth
  photomaker evaluate score runs/a --inception pt_inception-2015-12-05-6726825d.pth --reference photos/
`;

export function addEvaluateScore(evaluate: Command, io: CliIo): void {
  evaluate
    .command("score")
    .description("Measures pictures of people: likeness, faithfulness to the prompt, diversity, distance to real pictures.")
    .argument("<run>", "folder with the pictures and pictures.jsonl")
    .option("--people <folder>", "real pictures, a folder for each person")
    .option("--reference <folder>", "real pictures of anybody, for FID, KID and CMMD")
    .option("--clip <path>", "CLIP, a folder of the hub or a file with its config.json beside it")
    .option("--dino <path>", "DINO or DINOv2, a folder of the hub or the authors' file")
    .option("--lpips <paths...>", "two files: torchvision's AlexNet or VGG-16, and the package's weights of channels")
    .option("--inception <file>", "pytorch-fid's Inception")
    .option("--no-faces", "do not look for faces")
    .option("--trigger <word>", "word to take out of prompts", "img")
    .option("--prompts-random", "intervals for other prompts too, not only for these")
    .option("--json", "print scores.json")
    .option("-q, --quiet", "show no progress")
    .addHelpText("after", HELP)
    .action((run: string, flags: Flags) => score(run, flags, io));
}

async function score(run: string, flags: Flags, io: CliIo): Promise<void> {
  const { scoreRun } = await import("../../evaluate/run/score-run.node.ts");
  const { openFaceNetworks } = await import("../../faces/networks/open-networks.node.ts");
  const { withRuntime } = await import("../../sessions/runtimes.node.ts");
  const { json = false, quiet = false, promptsRandom = false, lpips, faces: wanted, ...rest } = flags;
  if (lpips !== undefined && lpips.length !== 2) throw badLpips(lpips.length);
  const progress = createProgress(io, { quiet, json });
  const faces = wanted ? { networks: openFaceNetworks(), name: "yunet-dlib" } : undefined;
  try {
    const scores = await withRuntime({}, (runtime) =>
      scoreRun({
        ...rest,
        run,
        runtime,
        promptsAreRandom: promptsRandom,
        ...(lpips && { lpips: { trunk: lpips[0], lin: lpips[1] } }),
        ...(faces && { faces }),
        signal: io.signal,
        onProgress: (label, done, total) => progress.show({ label, done, total }),
      }),
    );
    progress.clear();
    io.stdout.write(json ? `${JSON.stringify(scores, null, 1)}\n` : scoresText(scores));
  } finally {
    progress.clear();
    await faces?.networks.unload();
  }
}

const badLpips = (count: number): UserError =>
  new UserError(
    "evaluate/lpips-files",
    `LPIPS needs two files, and ${count} ${count === 1 ? "is" : "are"} given.`,
    "Give the trunk and the weights of channels: --lpips alexnet.pth alex.pth.",
  );

/** Scores as a table, with what was left out. */
export function scoresText({ figures, sets, quality, leftOut, pictures }: Scores): string {
  const people = new Set(pictures.map(({ person }) => person)).size;
  const lines = [
    `${pictures.length} pictures of ${people} people; mean of people's means, and the interval that holds 95 % of the time`,
  ];
  for (const name of MEASURE_NAMES) {
    const figure = figures[name];
    if (figure === undefined) continue;
    const { title, digits } = MEASURES[name];
    const missing = figure.missing > 0 ? `   ${figure.missing} without a face` : "";
    lines.push(
      `${title.padEnd(26)}${figure.value.toFixed(digits)}  [${figure.low.toFixed(digits)}, ${figure.high.toFixed(digits)}]${missing}`,
    );
  }
  if (sets !== undefined) {
    const of = `${sets.pictures} pictures against ${sets.reference}`;
    if (sets.fid !== undefined) lines.push(`${"FID".padEnd(26)}${sets.fid.toFixed(3)}  ${of}; compare only with as many`);
    if (sets.kid !== undefined)
      lines.push(`${"KID x 1000".padEnd(26)}${(1000 * sets.kid.value).toFixed(3)} ± ${(1000 * sets.kid.deviation).toFixed(3)}`);
    if (sets.cmmd !== undefined) lines.push(`${"CMMD".padEnd(26)}${sets.cmmd.toFixed(4)}`);
  }
  if (quality !== undefined) {
    const percent = (v: number): string => `${(100 * v).toFixed(1)} %`;
    lines.push(
      `without a face ${percent(quality.withoutFace)}, several ${percent(quality.severalFaces)}, below 64 pixels ${percent(quality.smallFace)}`,
    );
  }
  if (leftOut.length > 0) lines.push("left out:", ...leftOut.map(({ what, why }) => `  ${what}: ${why}`));
  return `${lines.join("\n")}\n`;
}
