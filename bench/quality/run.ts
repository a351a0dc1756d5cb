// Measures what each speed option costs in likeness and text: the miniature generates people not seen in training with fewer steps, shortcuts
// and 8 bits, and the judge compares the pictures with those of 25 steps in float32, for the same people, prompts and seeds.
//
//   npx tsx bench/quality/run.ts quality.jsonl --plot quality
//
// Writes a line of JSON per configuration. Those in the file are not measured again, so a stopped run can be resumed. Prints the
// table in Markdown, fastest first, and with --plot writes FILE.svg and FILE.png. --show only prints existing results.
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { thisMachine } from "../../src/bench/machine.ts";
import { machineText } from "../../src/bench/table.ts";
import { asset } from "../../src/cli/asset.ts";
import { wholeNumberOption } from "../../src/cli/terminal/flag-values.ts";
import { writeFileAtomically } from "../../src/core/atomic-file.node.ts";
import { UserError } from "../../src/core/errors.ts";
import { ortRuntime } from "../../src/runtime/node/ort-runtime.ts";
import { openTensors } from "../../src/weights/index.ts";
import { chartPng, chartSvg } from "./chart.ts";
import { CONFIGURATIONS, nameOf } from "./configurations.ts";
import { measure } from "./measure.ts";
import { checkSettings, type Row, readRows, type Settings, writeRows } from "./results.ts";
import { markdown } from "./table.ts";

interface Flags {
  readonly model: string;
  readonly judge: string;
  readonly people: number;
  readonly pictures: number;
  readonly seed: number;
  readonly threads: number;
  readonly timed: number;
  readonly only: string;
  readonly show?: boolean;
  readonly plot?: string;
}

const GUIDANCE = 3;

const program = new Command("quality")
  .argument("<file>", "file of results, a line of JSON each; created if missing")
  .option("-m, --model <folder>", "miniature to measure", asset("miniature"))
  .option("--judge <file>", "the judge's weights", asset("judge/weights.safetensors"))
  .addOption(wholeNumberOption("--people <n>", "how many", 2, 10000).default(64))
  .addOption(
    wholeNumberOption(
      "--pictures <n>",
      "photos to generate per person, in addition to one picture in another style",
      1,
      64,
    ).default(2),
  )
  .addOption(wholeNumberOption("--seed <n>", "chooses the people; must differ from training's seed", 0, 2 ** 32 - 1).default(2))
  .addOption(wholeNumberOption("--threads <n>", "threads; one gives the steadiest times", 1, 1024).default(1))
  .addOption(
    wholeNumberOption("--timed <n>", "pictures to time one by one, alternating with the reference's", 1, 1000).default(5),
  )
  .option("--only <text>", "only configurations whose flags contain this, such as int8", "")
  .option("--show", "only print existing results")
  .option("--plot <file>", "also plot time against quality, to this path plus .svg and .png")
  .action(run);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`${error.message}\n${error.remedy}`);
  process.exitCode = 1;
}

async function run(file: string, flags: Flags): Promise<void> {
  const rows = flags.show ? await readRows(file) : await completed(file, flags);
  if (rows.length === 0)
    throw new UserError("quality/not-results", `${file} has no results.`, "Measure some first, without --show.");
  console.log(
    `${Object.entries(rows[0]!.settings)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ")}\n\n${markdown(rows)}`,
  );
  if (flags.plot === undefined) return;
  const svg = await chartSvg(rows);
  await writeFileAtomically(`${flags.plot}.svg`, (sink) => sink.write(new TextEncoder().encode(svg)));
  await writeFileAtomically(`${flags.plot}.png`, (sink) => sink.write(chartPng(svg)));
}

async function completed(file: string, flags: Flags): Promise<Row[]> {
  const settings = await settingsOf(flags);
  const rows = await readRows(file);
  checkSettings(file, rows, settings);
  const known = new Set(rows.map(({ name }) => name));
  const wanted = CONFIGURATIONS.filter((one) => nameOf(one).includes(flags.only) && !known.has(nameOf(one)));
  if (wanted.length === 0) return rows;
  await writeRows(file, rows); // fails now rather than after the work if the file cannot be written
  const runtime = ortRuntime();
  try {
    const { tensors } = await openTensors(flags.judge);
    const onNotice = (text: string): void => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
    const options = { ...flags, judge: tensors, runtime, guidanceScale: GUIDANCE, onNotice };
    for await (const row of measure(wanted, options)) {
      rows.push({ ...row, settings });
      await writeRows(file, rows);
    }
  } finally {
    await runtime.close();
  }
  return rows;
}

async function settingsOf({ model, judge, people, pictures, seed, threads, timed }: Flags): Promise<Settings> {
  const names = (await readdir(model, { recursive: true })).filter((name) => name.endsWith(".safetensors")).sort();
  return {
    people,
    pictures,
    seed,
    guidance: GUIDANCE,
    threads,
    timed,
    model: await fingerprint(names.map((name) => join(model, name))),
    judge: await fingerprint([judge]),
    machine: machineText(thisMachine()).trim(),
  };
}

async function fingerprint(paths: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(await readFile(path));
  return hash.digest("hex").slice(0, 12);
}
