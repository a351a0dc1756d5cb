import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Command } from "commander";
import { UserError } from "../../core/errors.ts";
import { gigabytes } from "../../core/gigabytes.ts";
import type { DownloadOptions } from "../../weights/hub/index.ts";
import { loading } from "../terminal/download-progress.ts";
import type { CliIo } from "../terminal/io.ts";
import { createProgress } from "../terminal/progress.ts";
import { bytesOf, MODEL_SETS, type ModelPart, type ModelSet, RECOMMENDED, secondsOf, setNamed, VARIANT } from "./model-sets.ts";
import { type DefaultModels, defaultModels, forgetDefault, rememberSet, settingsPath } from "./user-settings.ts";

export interface SetupTools {
  readonly download: (id: string, options: DownloadOptions) => Promise<string>;
  readonly hub: () => Promise<Pick<typeof import("../../weights/hub/index.ts"), "findCached" | "parseHubId" | "hubSettings">>;
  /** Products of 8-bit numbers that this machine makes in a second. */
  readonly byteSpeed: (now: () => number, signal: AbortSignal) => Promise<number>;
}

interface Flags {
  readonly set?: string;
  readonly yes?: boolean;
  readonly list?: boolean;
  readonly show?: boolean;
  readonly forget?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const HELP = `
It shows sets of models that go together, asks which one you want, downloads it and makes it the default: "photomaker generate" without
--model uses it from then on. An interrupted download resumes when the command is run again. Weights come from the Hugging Face
hub under their publishers' licences (HF_TOKEN, HF_ENDPOINT, HF_HUB_CACHE: see "photomaker download --help").
Before its first picture, a model is prepared in 8 bits, which takes up to 12 GB more (photomaker cache list).
The default is kept in settings.json, in the folder for settings of your system; PHOTOMAKER_CONFIG names another file.

Examples:
  photomaker setup
  photomaker setup --list
  photomaker setup --set realistic --yes
  photomaker setup --set miniature       (included: no download)
`;

export function addSetup(program: Command, io: CliIo, tools: SetupTools): void {
  program
    .command("setup")
    .summary("choose, download and remember models: a start with real weights")
    .description("Downloads models that go together and makes them the default of generate.")
    .option("--set <name>", `which set: ${MODEL_SETS.map(({ name }) => name).join(", ")}`)
    .option("-y, --yes", `ask nothing: download --set, or else ${RECOMMENDED.name}`)
    .option("--list", "show the sets and end")
    .option("--show", "show the default and end")
    .option("--forget", "forget the default; downloads stay")
    .option("--json", "print the result, or the error, as JSON; asks nothing")
    .option("-q, --quiet", "show no progress")
    .addHelpText("after", HELP)
    .action((flags: Flags) => setup(flags, io, tools));
}

async function setup(flags: Flags, io: CliIo, tools: SetupTools): Promise<void> {
  const asked = (["list", "show", "forget"] as const).filter((name) => flags[name]);
  if (asked.length > 1 || (asked.length === 1 && (flags.set !== undefined || flags.yes)))
    throw new UserError(
      "setup/given-twice",
      `${[...asked, ...(flags.set === undefined ? [] : ["set"]), ...(flags.yes ? ["yes"] : [])].map((name) => `--${name}`).join(" and ")} ask for different things.`,
      "Give one of them.",
    );
  const path = settingsPath(io.env);
  if (flags.forget) {
    const forgotten = await forgetDefault(io.env);
    io.stdout.write(
      flags.json ? json({ forgotten, settings: path }) : forgotten ? "The default is forgotten.\n" : "There was no default.\n",
    );
  } else if (flags.show) {
    const chosen = await defaultModels(io.env);
    io.stdout.write(
      flags.json
        ? json({ default: chosen ?? null, settings: path })
        : `${chosen ? shown(chosen) : "No default is chosen: photomaker setup."}\n${path}\n`,
    );
  } else if (flags.list) await list(flags, io, tools);
  else {
    const chosen = await chooseModels(flags, io, tools);
    if (flags.json) io.stdout.write(json({ default: chosen, settings: path }));
    else io.stdout.write(`${shown(chosen)}\nIt is the default now, in ${path}. Try it:\n  ${example(chosen)}\n`);
  }
}

const json = (value: unknown): string => `${JSON.stringify(value)}\n`;

const example = ({ set }: DefaultModels): string =>
  set === "miniature"
    ? 'photomaker generate -p "a photo of a smiling woman img on the beach" -i face.png'
    : 'photomaker generate -p "a photo of a woman img as an astronaut" -i me1.jpg me2.jpg';

function shown({ set, load }: DefaultModels): string {
  const { model, adapter, loras = [], tinyVae } = load;
  const parts = [
    `model ${model}`,
    adapter && `adapter ${adapter}`,
    ...loras.map(({ path }) => `LoRA ${path}`),
    tinyVae && `tiny VAE ${tinyVae}`,
  ];
  return [`${set}:`, ...parts.filter((part) => part).map((part) => `  ${part}`)].join("\n");
}

/** Seconds of a picture of each set on this machine, by name; sets whose picture takes no time to speak of are absent. */
async function secondsBySet(io: CliIo, { byteSpeed }: SetupTools): Promise<ReadonlyMap<string, number>> {
  const speed = await byteSpeed(io.now, io.signal);
  return new Map(
    MODEL_SETS.flatMap(({ name, picture }) => (picture === undefined ? [] : [[name, secondsOf(picture, speed)] as const])),
  );
}

async function list({ json: asJson, quiet }: Flags, io: CliIo, tools: SetupTools): Promise<void> {
  if (!asJson && !quiet) io.stderr.write("Measuring this machine …\n");
  const seconds = await secondsBySet(io, tools);
  if (asJson)
    io.stdout.write(
      json({
        sets: MODEL_SETS.map((set) => ({
          name: set.name,
          goodFor: set.goodFor,
          bytes: bytesOf(set),
          licence: set.licence,
          ...(seconds.has(set.name) && { seconds: Number(seconds.get(set.name)!.toPrecision(2)) }),
          load: set.load,
          request: set.request,
        })),
      }),
    );
  else io.stdout.write(listText(seconds));
}

function listText(seconds: ReadonlyMap<string, number>): string {
  const entries = MODEL_SETS.map((set, i) => {
    const took = seconds.get(set.name);
    const facts = [
      bytesOf(set) === 0 ? "no download" : `${gigabytes(bytesOf(set))} to download`,
      took === undefined ? "a second or two a picture" : `about ${roughly(took)} a picture on this processor`,
      `licence: ${set.licence}`,
    ];
    return `${i + 1}  ${set.name}: ${set.goodFor}\n     ${facts.join("; ")}\n`;
  });
  return `${entries.join("")}A picture has 1024x1024 pixels, the miniature's 128x128. Before its first one a model is prepared in 8 bits, which takes up to 12 GB more.\nMake pictures of people only with their consent.\n`;
}

/** A duration as it is estimated, such as "34 s", "12 min" or "1.5 h". */
function roughly(seconds: number): string {
  if (seconds < 100) return `${Number(seconds.toPrecision(2))} s`;
  return seconds < 6000 ? `${Number((seconds / 60).toPrecision(2))} min` : `${Number((seconds / 3600).toPrecision(2))} h`;
}

/**
 * Chooses models, asking if someone can answer, downloads them and makes them the default.
 * @throws UserError setup/no-terminal, setup/unknown-set, setup/not-chosen, disk/full, and those of downloadModel and rememberSet
 */
export async function chooseModels(flags: Flags, io: CliIo, tools: SetupTools): Promise<DefaultModels> {
  const named = flags.set === undefined ? undefined : setNamed(flags.set);
  await defaultModels(io.env); // a damaged file is found before the download
  const ask = flags.json || flags.yes ? undefined : io.ask;
  let set = named ?? (flags.yes ? RECOMMENDED : undefined);
  if (set === undefined) {
    if (ask === undefined) throw nobodyAnswers(`photomaker setup --set ${RECOMMENDED.name} --yes`);
    io.stderr.write("Measuring this machine …\n");
    io.stderr.write(listText(await secondsBySet(io, tools)));
    set = await askForSet(ask, io);
  } else {
    const missing = await missingParts(set, io, tools);
    if (!flags.yes && missing.length > 0) {
      if (ask === undefined) throw nobodyAnswers(`photomaker setup --set ${set.name} --yes`);
      const answer = await ask(`Download about ${gigabytes(sum(missing))} under ${set.licence}? [Y/n] `);
      if (answer === undefined || !/^(y|yes)?$/i.test(answer)) throw notChosen();
    }
  }
  await bring(set, flags, io, tools);
  await rememberSet(set, io.env);
  return { set: set.name, load: set.load, request: set.request };
}

/**
 * The models that are the default; what the hub's cache has lost of them is downloaded again.
 * @throws UserError setup/settings-file, disk/full, and those of downloadModel
 */
export async function defaultAtHand(
  flags: Pick<Flags, "json" | "quiet">,
  io: CliIo,
  tools: SetupTools,
): Promise<DefaultModels | undefined> {
  const chosen = await defaultModels(io.env);
  const set = MODEL_SETS.find(({ name }) => name === chosen?.set);
  if (set !== undefined) await bring(set, flags, io, tools);
  return chosen;
}

const nobodyAnswers = (command: string): UserError =>
  new UserError(
    "setup/no-terminal",
    "Nobody can be asked which models to download: there is no terminal.",
    `Say it: ${command}. "photomaker setup --list" shows the sets, and --set miniature needs no download.`,
  );

const notChosen = (): UserError =>
  new UserError(
    "setup/not-chosen",
    "No models were chosen, and nothing was downloaded.",
    "Run photomaker setup again when you like.",
  );

async function askForSet(ask: NonNullable<CliIo["ask"]>, io: CliIo): Promise<ModelSet> {
  for (;;) {
    const answer = await ask(`Which one? 1 to ${MODEL_SETS.length}, or n for none [1]: `);
    if (answer === undefined || /^(n|no|none|q|quit)$/i.test(answer)) throw notChosen();
    const found =
      answer === ""
        ? RECOMMENDED
        : (MODEL_SETS[Number(answer) - 1] ?? MODEL_SETS.find(({ name }) => name === answer.toLowerCase()));
    if (found !== undefined) return found;
    io.stderr.write(`"${answer}" is none of them.\n`);
  }
}

const sum = (parts: readonly ModelPart[]): number => parts.reduce((all, { bytes }) => all + bytes, 0);

/** Parts of a set that are not in the hub's cache. */
async function missingParts({ parts }: ModelSet, io: CliIo, { hub }: SetupTools): Promise<ModelPart[]> {
  const { findCached, parseHubId } = await hub();
  const cached = await Promise.all(parts.map(({ id }) => findCached(parseHubId(id)!, { env: io.env })));
  return parts.filter((_, i) => cached[i] === undefined);
}

/** Downloads what is missing of a set. @throws UserError disk/full, and those of downloadModel */
async function bring(
  set: ModelSet,
  { quiet = false, json: asJson = false }: Pick<Flags, "json" | "quiet">,
  io: CliIo,
  tools: SetupTools,
): Promise<void> {
  const missing = await missingParts(set, io, tools);
  if (missing.length === 0) return;
  const { hubSettings } = await tools.hub();
  const { cacheDir } = await hubSettings({}, io.env);
  const room = await roomAt(cacheDir);
  if (room !== undefined && room < sum(missing))
    throw new UserError(
      "disk/full",
      `The set ${set.name} needs about ${gigabytes(sum(missing))}, and ${cacheDir} has room for ${gigabytes(room)}.`,
      "Free some space, or choose a folder on another disk with HF_HUB_CACHE. --set miniature needs no download.",
    );
  const progress = createProgress(io, { json: asJson, quiet });
  try {
    for (const [i, { id }] of missing.entries()) {
      progress.note(`${i + 1} of ${missing.length}: ${id}`);
      await tools.download(id, { variant: VARIANT, ...loading(io, progress) });
    }
  } finally {
    progress.clear();
  }
}

/** Free bytes on the disk of a folder, or of the nearest one above it that is there; undefined where the system does not tell. */
async function roomAt(folder: string): Promise<number | undefined> {
  const system = await statfs(folder).catch(() => undefined);
  if (system !== undefined) return system.blocks === 0 ? undefined : system.bavail * system.bsize;
  return dirname(folder) === folder ? undefined : roomAt(dirname(folder));
}
