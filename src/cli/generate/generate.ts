import type { Command } from "commander";
import type { GenerateEvent, ProgressEvent, Timings } from "../../contract/events.ts";
import type { GenerateRequest, LoadOptions } from "../../contract/request.ts";
import type { Seed } from "../../contract/seed.ts";
import { stylesWith } from "../../contract/styles.ts";
import { checkWritable } from "../../core/atomic-file.node.ts";
import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import { writeLatents } from "../../pipeline/denoise/read-latents.ts";
import type { LoadingOptions } from "../../pipeline/load/local-models.ts";
import { chooseModels, defaultAtHand, type SetupTools } from "../models/setup.ts";
import type { DefaultModels } from "../models/user-settings.ts";
import { loading } from "../terminal/download-progress.ts";
import type { CliIo } from "../terminal/io.ts";
import { createProgress, type ProgressBar, type ProgressLine } from "../terminal/progress.ts";
import { GENERATE_FLAGS } from "./generate-flags.ts";
import { type FlagValues, generateOptions } from "./generate-options.ts";
import { openPictureFiles, STDOUT } from "./picture-files.ts";
import { timingText } from "./timing-text.ts";

/** A loaded pipeline, as far as `generate` uses it. */
export interface GeneratorLike extends AsyncDisposable {
  /** Notices about its files. */
  readonly notices: readonly Notice[];
  generate(request: GenerateRequest, options: { readonly signal: AbortSignal }): AsyncIterable<GenerateEvent>;
}

export interface GenerateTools extends SetupTools {
  readonly load: (options: LoadOptions, how: LoadingOptions) => Promise<GeneratorLike>;
}

const HELP = `
When the person comes in:
  The first steps decide the composition, the later ones the face. The prompt is used without the person up to
  --start-merge-step, and with the person after it. A later step follows the text and its style more closely; an earlier
  one resembles the photos more.
    --start-merge-step 10   steps 0 to 10 without the person, the rest with
    --start-merge-step -1   the person from the first step on
    --style-strength 20     the same as a percentage: 20 % of 50 steps is step 10 (never above 30)
  If neither is given and there are 8 steps or fewer, most steps are with the person: 3 of 4, 6 of 8.

Few steps:
  A model or LoRA made for few steps (SDXL-Lightning, Hyper-SD, DMD2, TCD, LCM, SDXL-Turbo) is recognised by its metadata, its name or its
  scheduler. Scheduler, timesteps, steps and guidance then follow the model unless you set them; a note says so.

Options from a file:
  --config case.json sets any of these options: {"prompt": "...", "steps": 30, "idImage": ["a.jpg"], "originalSize": "1024x768"},
  named as here, as in code (numInferenceSteps) or as in diffusers (num_inference_steps). Flags take precedence.
  --config picture.png (.jpg, .webp) reproduces a picture from the settings stored in it. It records only the names of files: they are
  looked for beside the picture and in the current folder, or can be given again (-m, -a, -i …).

Many prompts:
  --prompts list.txt draws each line of a text; --prompts list.jsonl takes JSON a line: "a prompt", or {"prompt": "...", "seed": 1, "steps": 20}
  with options of the request, which win over flags. The model is loaded once. With --json a line of JSON is printed for each prompt.

Models:
  "photomaker setup" downloads models that go together and makes them the default, for requests without --model. LoRAs are added to
  those of the default. Its adapter is used where photos are given or the prompt has the trigger word.

Examples:
  photomaker generate -i me1.jpg me2.jpg -p "a photo of a woman img as an astronaut"       (after photomaker setup)
  photomaker generate -m SG161222/RealVisXL_V4.0 -a TencentARC/PhotoMaker -i a.jpg b.jpg \\
    -p "a photo of a man img wearing a spacesuit" -n "lowres, bad anatomy" --seed 42
  photomaker generate -m sdxl.safetensors -a photomaker-v1.bin -i photos/*.jpg -p "a woman img, oil painting" \\
    --style-strength 40 --num-images 4 --out paintings
  photomaker generate -m sdxl.safetensors -p "a lighthouse in a storm" --lora style.safetensors:0.8 --steps 30 --out storm.png
`;

export function addGenerate(program: Command, io: CliIo, tools: GenerateTools): void {
  const command = program
    .command("generate")
    .summary("make pictures of the person in your photos")
    .description("Makes pictures of the person in your photos as a prompt describes.\nPrints the path of each picture.")
    .addHelpText("after", HELP);
  for (const [heading, flags] of Object.entries(GENERATE_FLAGS)) {
    command.optionsGroup(heading);
    if (heading === "Input and output:")
      command
        .option("--list-styles [word]", "show all styles, or those with this word, and end")
        .option("--prompts <file>", "many prompts on one loaded model: a .txt with one a line, or a .jsonl (see below)")
        .option(
          "-c, --config <file>",
          "read options from a JSON file or from a picture made by photomaker; flags take precedence (see below)",
        );
    for (const { flags: spelling, help } of flags) command.option(spelling, help);
  }
  command.action((values: FlagValues) => generate(values, io, tools));
}

// Not inside generate(): in a function with `await using`, TypeScript 6 leaves the import's ".ts" as it is.
const encoder = async () => (await import("../../image/encode-picture.ts")).encodePicture;

/** The same events; errors that a user can cause say where their prompt stands. */
async function* namingLine(where: string | undefined, events: AsyncIterable<GenerateEvent>): AsyncIterable<GenerateEvent> {
  try {
    yield* events;
  } catch (error) {
    if (where === undefined || !(error instanceof UserError)) throw error;
    throw new UserError(error.code, `${where}: ${error.message}`, error.remedy, { cause: error });
  }
}

async function generate(values: FlagValues, io: CliIo, tools: GenerateTools): Promise<void> {
  if (values.listStyles !== undefined) {
    const styles = stylesWith(typeof values.listStyles === "string" ? values.listStyles : "");
    const width = Math.max(0, ...styles.map(({ name }) => name.length));
    for (const { name, prompt } of styles) io.stdout.write(`${name.padEnd(width)}  ${prompt}\n`);
    return;
  }
  const {
    load: models,
    requests,
    lines,
    output,
    notices,
  } = await generateOptions(values, () => defaultOrChosen(values, io, tools));
  const progress = createProgress(io, output);
  const files = await openPictureFiles(output.out, io.stdout, output.format);
  let summary: Summary = { images: [], notices: [] };
  const tell = (notice: Notice) => {
    summary.notices.push(notice);
    progress.note(notice.message);
  };
  for (const notice of notices) tell(notice);
  try {
    if (output.saveLatents !== undefined) await checkWritable(output.saveLatents);
    await using generator = await tools.load(models, loading(io, progress));
    io.signal.throwIfAborted();
    for (const notice of generator.notices) tell(notice);
    for (const [i, request] of requests.entries()) {
      if (lines !== undefined) {
        summary = { line: lines[i]!, prompt: request.prompt, images: [], notices: i === 0 ? summary.notices : [] };
        if (!output.quiet && !output.json) io.stderr.write(`prompt ${i + 1}/${requests.length}: ${request.prompt}\n`);
      }
      const where = lines === undefined ? undefined : `Line ${lines[i]} of ${String(values.prompts)}`;
      for await (const event of namingLine(where, generator.generate(request, { signal: io.signal }))) {
        switch (event.type) {
          case "progress":
            progress.show(lineOf(event));
            break;
          case "notice":
            tell(event.notice);
            break;
          case "preview":
            for (const [index, png] of event.images.entries()) await files.writePreview(index, png);
            break;
          case "image": {
            const { index, png, width, height, seed, settings } = event;
            const path = await files.write(output.format === "png" ? png : await (await encoder())(png, output));
            summary.images.push({ path, index, width, height, seed, settings });
            if (!output.json && path !== STDOUT) tellImage(path, progress, io);
            break;
          }
          case "done":
            summary.seed = event.seed;
            summary.timings = event.timings;
            summary.peakMemory = io.peakMemory() + event.modelMemory;
            if (output.saveLatents === undefined) break;
            await writeLatents(output.saveLatents, event.latents.initialNoise, event.latents.final, event.latents.dims);
            summary.latents = output.saveLatents;
        }
      }
      io.signal.throwIfAborted();
      progress.clear();
      if (lines !== undefined && output.json) io.stdout.write(`${JSON.stringify(summary)}\n`);
      else if (!output.json && !output.quiet && request.seed === undefined)
        progress.note(`The seed was ${summary.seed}: give --seed ${summary.seed} to make the same again.`);
    }
    io.signal.throwIfAborted();
  } finally {
    progress.clear();
    await files.tidy();
  }
  if (lines !== undefined && output.json) return;
  if (output.json) io.stdout.write(`${JSON.stringify(summary, undefined, 2)}\n`);
  else if (summary.seed !== undefined && !output.quiet) {
    progress.note(timingText(summary.timings!, summary.peakMemory!));
  }
}

/** The models that are the default, or that are chosen now if someone can be asked. @throws UserError those of chooseModels */
async function defaultOrChosen({ json, quiet }: FlagValues, io: CliIo, tools: GenerateTools): Promise<DefaultModels | undefined> {
  const chosen = await defaultAtHand({ json: json === true, quiet: quiet === true }, io, tools);
  if (chosen !== undefined || io.ask === undefined || json === true) return chosen;
  io.stderr.write("No model is named, and none is the default yet. These go together:\n");
  return chooseModels({ quiet: quiet === true }, io, tools);
}

/** Output of --json. */
interface Summary {
  /** Of the list of prompts. */
  readonly line?: number;
  readonly prompt?: string;
  readonly images: { path: string; index: number; width: number; height: number; seed: Seed; settings: unknown }[];
  readonly notices: Notice[];
  seed?: Seed;
  timings?: Timings;
  /** Bytes. */
  peakMemory?: number;
  latents?: string;
}

export const lineOf = ({ phase, detail, step, steps, secondsLeft }: ProgressEvent): ProgressLine => ({
  label: detail === undefined ? phase : `${phase} ${detail}`,
  done: step,
  total: steps,
  secondsLeft,
});

function tellImage(path: string, progress: ProgressBar, io: CliIo): void {
  progress.clear();
  io.stdout.write(`${path}\n`);
}
