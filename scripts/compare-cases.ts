// Makes the pictures of reference cases with the command line and compares them with the reference's.
//
//   npm run compare-cases -- <folder of reference cases> [--only name,name] [--keep <folder>]
import "./show-help.ts";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";

const USAGE = "npm run compare-cases -- <folder of reference cases> [--only name,name] [--keep <folder>]";
/** Largest mean absolute difference, in levels of 255, at which a picture counts as the reference's. */
const TOLERANCE = 0.1;
/** Kinds of cases that `generate` does not support. */
const OTHER_KINDS = new Set(["img2img", "inpaint", "pm_controlnet", "pm_t2i_adapter", "pm_ip_adapter"]);

const photomaker = resolve(import.meta.dirname, "../bin/photomaker.js");
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: "string" }, keep: { type: "string" } },
});

/** A case.json of the reference generator. */
interface Case {
  readonly name: string;
  readonly kind: string;
  readonly model?: string;
  readonly model_config?: string;
  readonly adapter?: string;
  readonly trigger_word?: string;
  readonly lora_scale?: number;
  readonly loras?: readonly (readonly [file: string, scale: number])[];
  readonly id_embeds?: string | null;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly expected: { readonly images: readonly string[] };
}

/** Arguments whose flag has another name, or another form of value. */
const SPELLING: Readonly<Record<string, (value: never) => string[]>> = {
  num_images_per_prompt: (count: number) => ["--num-images", `${count}`],
  original_size: ([h, w]: number[]) => ["--original-size", `${w}x${h}`],
  target_size: ([h, w]: number[]) => ["--target-size", `${w}x${h}`],
  negative_original_size: ([h, w]: number[]) => ["--negative-original-size", `${w}x${h}`],
  negative_target_size: ([h, w]: number[]) => ["--negative-target-size", `${w}x${h}`],
  crops_coords_top_left: ([y, x]: number[]) => ["--crops-coords-top-left", `${y},${x}`],
  negative_crops_coords_top_left: ([y, x]: number[]) => ["--negative-crops-coords-top-left", `${y},${x}`],
};
/** Fields given by other flags, or not at all. */
const NOT_FLAGS = new Set(["version", "photos", "lora", "weights", "id_count", "kind", "scheduler_kwargs"]);

/** The command line that a user would write for a case. */
function flagsOf(each: Case, folder: string, root: string): string[] {
  const { version, photos, lora, weights } = each.arguments as {
    version?: string;
    photos?: string[];
    lora?: string;
    weights?: [number, number];
  };
  const flags = ["--model", join(root, each.model ?? "tiny-sdxl"), "--precision", "f32"];
  if (each.model_config !== undefined) flags.push("--model-config", join(root, each.model_config));
  if (version !== undefined) {
    flags.push("--adapter", join(root, each.adapter ?? `tiny-photomaker-${version}.bin`));
    const scale = weights?.[0] ?? each.lora_scale ?? 1;
    if (scale !== 1) flags.push("--adapter-scale", `${scale}`);
    if ((each.trigger_word ?? "img") !== "img") flags.push("--trigger-word", each.trigger_word!);
  }
  if (weights !== undefined) flags.push("--lora", `${join(root, "lora", lora!)}:${weights[1]}`);
  if (each.loras !== undefined) flags.push("--lora", ...each.loras.map(([file, scale]) => `${join(root, file)}:${scale}`));
  if (photos !== undefined) flags.push("--id-image", ...photos.map((photo) => join(root, "photos", photo)));
  if (each.id_embeds) flags.push("--id-embeds", join(folder, each.id_embeds.split(":")[0]!));
  for (const [name, value] of Object.entries(each.arguments)) {
    if (NOT_FLAGS.has(name) || value === null) continue;
    const spell = SPELLING[name] as ((value: unknown) => string[]) | undefined;
    flags.push(...(spell?.(value) ?? [`--${name.replaceAll("_", "-")}`, `${value}`]));
  }
  return flags;
}

async function pixels(path: string): Promise<{ data: Buffer; size: string }> {
  const { data, info } = await sharp(path).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data, size: `${info.width}x${info.height}` };
}

interface Difference {
  readonly mean: number;
  readonly max: number;
}

async function difference(made: string, wanted: string): Promise<Difference> {
  const [a, b] = [await pixels(made), await pixels(wanted)];
  if (a.size !== b.size) throw new Error(`a picture is ${a.size}, not ${b.size}`);
  const apart = Array.from(a.data, (v, i) => Math.abs(v - b.data[i]!));
  return { mean: apart.reduce((sum, v) => sum + v, 0) / apart.length, max: apart.reduce((most, v) => Math.max(most, v), 0) };
}

/** Runs one case through the command line. */
async function compare(each: Case, folder: string, root: string, out: string): Promise<Difference> {
  const flags = flagsOf(each, folder, root);
  const run = spawnSync(process.execPath, [photomaker, "generate", ...flags, "--out", out, "--quiet"], { encoding: "utf8" });
  if (run.status !== 0)
    throw new Error(`exit code ${run.status}: ${run.stderr.trim()}\n  photomaker generate ${flags.join(" ")}`);
  const made = run.stdout.trim().split("\n");
  if (made.length !== each.expected.images.length) throw new Error(`${made.length} pictures, not ${each.expected.images.length}`);
  const all: Difference[] = [];
  for (const [i, image] of each.expected.images.entries()) all.push(await difference(made[i]!, join(folder, image)));
  return { mean: Math.max(...all.map((d) => d.mean)), max: Math.max(...all.map((d) => d.max)) };
}

/** Nearest folder above the case that holds its model. */
function rootOf(folder: string, model: string): string {
  for (let each = folder; each !== dirname(each); each = dirname(each)) if (existsSync(join(each, model))) return each;
  throw new Error(`no folder above ${folder} holds ${model}`);
}

async function main(): Promise<void> {
  const [where] = positionals;
  if (where === undefined) throw new Error(USAGE);
  const only = options.only?.split(",");
  const found = (await readdir(resolve(where), { recursive: true })).filter((path) => /(^|[\\/])case\.json$/.test(path)).sort();
  if (found.length === 0) throw new Error(`There is no case.json below ${where}. ${USAGE}`);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const temporary = await mkdtemp(join(tmpdir(), "photomaker-cases-"));
  try {
    for (const path of found) {
      const folder = dirname(join(resolve(where), path));
      const each = JSON.parse(await readFile(join(folder, "case.json"), "utf8")) as Case;
      if (only !== undefined && !only.includes(each.name)) continue;
      if (OTHER_KINDS.has(each.kind)) {
        counts.skipped++;
        continue;
      }
      try {
        const root = rootOf(folder, each.model ?? "tiny-sdxl");
        const { mean, max } = await compare(each, folder, root, join(options.keep ?? temporary, each.name));
        const good = mean <= TOLERANCE;
        counts[good ? "passed" : "failed"]++;
        console.log(`${good ? "same " : "OTHER"} ${each.name.padEnd(32)} mean ${mean.toFixed(4)} max ${max}`);
      } catch (error) {
        counts.failed++;
        console.log(`FAILED ${each.name}: ${error instanceof Error ? error.message : error}`);
      }
    }
  } finally {
    await rm(temporary, { recursive: true });
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  if (counts.failed > 0) process.exitCode = 1;
}
await main();
