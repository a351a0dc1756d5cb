import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { Timings } from "../pipeline/events.ts";
import { parseGenerateRequest, parseLoadOptions } from "../pipeline/request.ts";
import { type GenerateTools, lineOf } from "./generate.ts";
import type { CliIo } from "./io.ts";
import { openPictureFiles } from "./picture-files.ts";
import { createProgress } from "./progress.ts";

/** Two folders up from src/cli and from dist/cli. */
const inPackage = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What the demo runs. Another model in the package, or another person, is a change here alone. */
const DEMO = {
  load: { model: inPackage("fixtures/tiny-sdxl"), adapter: inPackage("fixtures/tiny-photomaker-v1.safetensors") },
  request: {
    width: 256,
    height: 256,
    numInferenceSteps: 20,
    styleStrength: 20,
    seed: 42,
  },
  prompt: (classWord: string) => `a photo of a ${classWord} img as an astronaut`,
  person: { seed: 2024, index: 2, count: 3 },
  truth:
    "The model is tiny and its weights are random numbers, never trained: the picture is noise. The path from photos to picture is the real one.",
};

// Not inside demo(): in a function with `await using`, TypeScript 6 leaves the import's ".ts" as it is.
const drawPortraits = async ({ seed, index, count }: typeof DEMO.person) =>
  (await import("./demo-portraits.ts")).drawnPortraits(seed, index, count);

const HELP = `
It needs no download: model and portraits come with photomaker. For real pictures see "photomaker generate --help".
`;

export function addDemo(program: Command, io: CliIo, tools: Pick<GenerateTools, "load">): void {
  program
    .command("demo")
    .summary("run the whole path on a model that comes along")
    .description("Makes one picture from three drawn portraits with a small model that comes along.")
    .option("-o, --out <file>", "the PNG to write, which is replaced", "out/demo.png")
    .option("-q, --quiet", "no progress")
    .addHelpText("after", HELP)
    .action((flags: { out: string; quiet?: boolean }) => demo(flags, io, tools));
}

async function demo(
  { out, quiet = false }: { out: string; quiet?: boolean },
  io: CliIo,
  { load }: Pick<GenerateTools, "load">,
): Promise<void> {
  const progress = createProgress(io, { quiet });
  const seconds = stopwatch(io.now);
  const files = await openPictureFiles(out);
  try {
    const { pngs, classWord } = await drawPortraits(DEMO.person);
    const request = parseGenerateRequest({ ...DEMO.request, prompt: DEMO.prompt(classWord), inputIdImages: pngs });
    io.stdout.write(`${pngs.length} drawn portraits of one person, and "${request.prompt}":\n`);
    const drawing = seconds();
    await using pipeline = await load(parseLoadOptions(DEMO.load));
    const opening = seconds();
    let [picture, times] = ["", ""];
    for await (const event of pipeline.generate(request, { signal: io.signal })) {
      if (event.type === "progress") progress.show(lineOf(event));
      if (event.type === "image") picture = await files.write(event.png);
      if (event.type === "done")
        times = table([["drawing the portraits", drawing], ["opening the model", opening], ...rows(event.timings)]);
    }
    io.signal.throwIfAborted();
    progress.clear();
    io.stdout.write(`${times}${DEMO.truth}\n${picture}\n`);
  } finally {
    progress.clear();
    await files.tidy();
  }
}

type Row = readonly [what: string, seconds: number];

const rows = ({ load, encode, evaluations, decode }: Timings): Row[] => [
  [`loading ${Object.keys(load).length} networks`, sum(Object.values(load))],
  ["encoding prompt and photos", encode],
  [`${evaluations.length} evaluations of the UNet`, sum(evaluations)],
  ["decoding the picture", decode],
];

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const table = (lines: readonly Row[]): string =>
  [...lines, ["in all", sum(lines.map(([, s]) => s))] as const]
    .map(([what, s]) => `  ${what.padEnd(30)}${s.toFixed(2).padStart(6)} s\n`)
    .join("");

/** Seconds since the last call. */
function stopwatch(now: () => number): () => number {
  let last = now();
  return () => {
    const before = last;
    last = now();
    return (last - before) / 1000;
  };
}
