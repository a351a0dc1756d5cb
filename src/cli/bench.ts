import type { Command } from "commander";
import type { BenchModel, MeasuredPrecision, MeasurePlan } from "../bench/measure.ts";
import { checkPhotos, type LoadInput, parseGenerateRequest, parseLoadOptions } from "../contract/request.ts";
import { writeFileAtomically } from "../core/atomic-file.node.ts";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import type { LoadingOptions } from "../pipeline/load/local-models.ts";
import { asset } from "./asset.ts";
import { lineOf } from "./generate/generate.ts";
import { flagName as generateFlagName } from "./generate/generate-options.ts";
import { photoFiles } from "./generate/photo-files.ts";
import { loading } from "./terminal/download-progress.ts";
import { numberOr, wholeNumber } from "./terminal/flag-values.ts";
import type { CliIo } from "./terminal/io.ts";
import { createProgress } from "./terminal/progress.ts";

export interface BenchTools {
  open(options: LoadInput, how: LoadingOptions): Promise<BenchModel>;
}

interface Flags {
  readonly model?: string;
  readonly modelConfig?: string;
  readonly adapter?: string;
  readonly idImage?: string[];
  readonly idEmbeds?: string;
  readonly sizes?: string;
  readonly batch: string;
  readonly steps: string;
  readonly guidanceScale: string;
  readonly precision: string;
  readonly device?: string;
  readonly threads?: string;
  readonly repeats: string;
  readonly json?: string | true;
  readonly quiet?: boolean;
}

// Not inside a function with `await using`: there TypeScript 6 leaves the import's ".ts" as it is.
const parts = async () => ({
  ...(await import("../bench/measure.ts")),
  ...(await import("../bench/table.ts")),
  ...(await import("../bench/machine.ts")),
  ...(await import("../bench/summary.ts")),
});

const HELP = `
Without options it measures the included miniature, which takes seconds. With a model but no adapter it measures plain SDXL.
All models stay loaded, which needs more memory than generate. Run it on an otherwise idle machine.

Columns:
  text, ID     encoding the texts; encoding the photos and fusing them with the text
  evaluation   one run of the denoiser: median, and minimum and maximum in brackets; a step takes one
  first        the whole first request, with loading; again: a later one. Both with --steps and --batch as given
  TFLOP        work of an evaluation: linear layers, convolutions and attention; GFLOP/s: the speed reached
  memory       peak memory so far, all processes together
Loading is faster while the system still caches the files. Models in 8 bits are prepared on first use, which is listed
separately. With guidance (--guidance-scale 5) an evaluation processes twice the batch.

Examples:
  photomaker bench
  photomaker bench --sizes 64,96,128 --batch 1,2 --precision f32,int8
  photomaker bench -m sdxl.safetensors -a photomaker-v1.bin -i a.jpg b.jpg --sizes 512,1024 --json bench.json
`;

export function addBench(program: Command, io: CliIo, tools: BenchTools): void {
  program
    .command("bench")
    .summary("measure the speed of this machine")
    .description("Measures how long each part of making a picture takes on this machine, by precision, size and batch.")
    .option("-m, --model <path>", "SDXL model, as for generate (default: the miniature with its adapter and drawn photos)")
    .option("--model-config <folder>", "configs of a single-file model (default: those beside it)")
    .option("-a, --adapter <path>", "PhotoMaker V1 or V2 adapter (default: none, plain SDXL)")
    .option("-i, --id-image <files...>", "photos of one person for the adapter: files, a folder or a pattern")
    .option("--id-embeds <file>", "face embeddings for a V2 adapter")
    .option("--sizes <list>", "sides in pixels, or WIDTHxHEIGHT, such as 512,768,1024x768 (default: the model's own)")
    .option("--batch <list>", "pictures at once, such as 1,2", "1")
    .option("-s, --steps <count>", "denoising steps per picture", "4")
    .option("-g, --guidance-scale <number>", "guidance scale; above 1, an evaluation processes twice the batch", "1")
    .option("--precision <list>", "auto, f32, int8, or several, such as f32,int8", "auto")
    .option("--device <name>", "auto, cpu, cuda or webgpu")
    .option("--threads <count>", "threads per operation (default: all cores)")
    .option("--repeats <count>", "requests per size and batch", "3")
    .option("--json [file]", "write the results as JSON to a file, or to stdout instead of the tables")
    .option("-q, --quiet", "show no progress")
    .addHelpText("after", HELP)
    .action((flags: Flags) => bench(flags, io, tools));
}

async function bench(flags: Flags, io: CliIo, tools: BenchTools): Promise<void> {
  const toStdout = flags.json === true || flags.json === "-";
  const progress = createProgress(io, { quiet: flags.quiet ?? false, json: toStdout });
  const { measure, benchTable, thisMachine, summaryOf } = await parts();
  const { model, adapter, photos, notices } = await subject(flags);
  const plan = planOf(flags, { model, adapter, photos, notices });
  const machine = thisMachine();
  const report = (runs: readonly MeasuredPrecision[], complete: boolean) => ({
    machine,
    complete,
    model,
    adapter,
    photos: photos.length,
    steps: plan.request.numInferenceSteps,
    guidanceScale: plan.request.guidanceScale,
    threads: plan.load.threads,
    runs: runs.map((run) => ({ ...run, measured: run.measured.map((each) => ({ ...each, summary: summaryOf(each) })) })),
  });
  const save = async (runs: readonly MeasuredPrecision[], complete: boolean): Promise<void> => {
    if (toStdout || typeof flags.json !== "string") return;
    const bytes = new TextEncoder().encode(`${JSON.stringify(report(runs, complete), undefined, 2)}\n`);
    await writeFileAtomically(flags.json, (sink) => sink.write(bytes));
  };
  await save([], false); // fails now rather than after the work if the file cannot be written
  const told = new Set<string>();
  const note = (message: string): void => {
    if (!told.has(message)) progress.note(message);
    told.add(message);
  };
  for (const { message } of notices) note(message);
  const runs = await measure(plan, {
    open: (options) => tools.open(options, loading(io, progress)),
    now: io.now,
    peakMemory: io.peakMemory,
    signal: io.signal,
    onOpen: ({ notices }) => {
      for (const { message } of notices) note(message);
    },
    onEvent: (what, event) => {
      if (event.type === "notice") note(event.notice.message);
      if (event.type !== "progress") return;
      const line = lineOf(event);
      progress.show({ ...line, label: `${what}: ${line.label}` });
    },
    onMeasured: (some) => save(some, false),
  }).finally(() => progress.clear());
  const complete = !io.signal.aborted;
  await save(runs, complete);
  if (toStdout) io.stdout.write(`${JSON.stringify(report(runs, complete), undefined, 2)}\n`);
  else io.stdout.write(benchTable(machine, runs));
  if (!complete) io.stderr.write("Stopped. These are the measurements so far.\n");
}

interface Subject {
  readonly model: string;
  readonly adapter: string | undefined;
  readonly photos: readonly (string | Uint8Array<ArrayBuffer>)[];
  readonly notices: readonly Notice[];
}

/** The model to measure: the miniature if none is named. */
async function subject({ model, adapter, idImage: given = [], idEmbeds }: Flags): Promise<Subject> {
  const { paths: idImage, notices } = await photoFiles(given, { repeated: idEmbeds !== undefined });
  if (model !== undefined) return { model, adapter, photos: idImage, notices };
  const miniature = asset("miniature");
  const { drawnPortraits } = await import("../miniature/portraits.ts");
  return {
    model: miniature,
    adapter: adapter ?? `${miniature}/photomaker-v1.safetensors`,
    photos: idImage.length > 0 ? idImage : (await drawnPortraits(14, 0, 2)).pngs,
    notices,
  };
}

/**
 * Checks the flags and turns them into a plan.
 * @throws UserError those of parseLoadOptions, parseGenerateRequest and checkPhotos, and sizes/wrong-form
 */
function planOf(flags: Flags, { model, adapter, photos }: Subject): MeasurePlan {
  const listed = <T>(text: string, read: (item: string) => T): T[] => text.split(",").map((item) => read(item.trim()));
  const given = (values: object): object => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
  const { modelConfig, device, idEmbeds, threads } = flags;
  const load = { model, ...given({ modelConfig, adapter, device, threads: threads && numberOr(threads) }) };
  const precisions = listed(flags.precision, (precision) => parseLoadOptions({ ...load, precision }, flagName).precision);
  const sizes = flags.sizes === undefined ? [{}] : listed(flags.sizes, sizeOf);
  const batches = listed(flags.batch, (item) => wholeNumber(item, "--batch", 1, 256));
  const guidanceScale = Number(flags.guidanceScale.trim() || Number.NaN);
  const request = {
    prompt: adapter === undefined ? "a photo of a man in a park" : "a photo of a man img in a park",
    inputIdImages: [...photos],
    ...(adapter !== undefined && { idCrop: "off" as const }), // what is measured is the models
    ...given({ idEmbeds }),
    numInferenceSteps: Number(flags.steps.trim() || Number.NaN),
    guidanceScale,
    seed: 0,
  };
  for (const size of sizes) checkPhotos(adapter !== undefined, parseGenerateRequest({ ...request, ...size }, flagName), flagName);
  const repeats = wholeNumber(flags.repeats, "--repeats", 1, 1000);
  return { load: parseLoadOptions(load, flagName), precisions, request, sizes, batches, repeats };
}

function sizeOf(item: string): { width: number; height: number } {
  const [, width, height = width] = /^(\d+)(?:[xX×](\d+))?$/.exec(item) ?? [];
  if (width === undefined)
    throw new UserError(
      "sizes/wrong-form",
      `--sizes has "${item}", but each size must be a side in pixels or WIDTHxHEIGHT.`,
      "Write them as in --sizes 512,1024x768.",
    );
  return { width: Number(width), height: Number(height) };
}

/** Name of a field's flag: as for `generate`, except sizes. */
const flagName = (path: readonly PropertyKey[]): string =>
  ["width", "height"].includes(String(path[0])) ? "--sizes" : generateFlagName(path);
