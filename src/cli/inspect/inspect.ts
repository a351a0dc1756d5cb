import type { Command } from "commander";
import type { Description, PartDescription } from "../../weights/describe.node.ts";
import { predictionInWords } from "../../weights/prediction.ts";
import { byteSize } from "../terminal/download-progress.ts";
import type { CliIo } from "../terminal/io.ts";
import { describePicture, pictureText } from "./inspect-picture.ts";

export interface InspectTools {
  readonly describe: (path: string) => Promise<Description>;
}

const HELP = `
Only headers of weight files are read, so large files take no longer. Nothing in a file is executed.

Examples:
  photomaker inspect sdxl.safetensors
  photomaker inspect sdxl-unet-Q4_K_M.gguf
  photomaker inspect photomaker-v1.bin
  photomaker inspect style-lora.safetensors --json
  photomaker inspect out/image_0.png
`;

export function addInspect(program: Command, io: CliIo, { describe }: InspectTools): void {
  program
    .command("inspect")
    .summary("describe a weight file, a model folder or a picture")
    .description(
      "Describes a weight file or a model folder: its parts, parameters, number formats, and what is missing.\nFor a picture made by photomaker, shows its settings.",
    )
    .argument("<path>", "a .safetensors, .gguf, .bin, .pt or .ckpt file, a folder, or a picture")
    .option("--json", "print the description as JSON")
    .addHelpText("after", HELP)
    .action(async (path: string, { json }: { json?: boolean }) => {
      const picture = await describePicture(path);
      const description = picture ?? (await describe(path));
      if (json) io.stdout.write(`${JSON.stringify(description, undefined, 2)}\n`);
      else io.stdout.write(description.kind === "picture" ? pictureText(description) : inspectTable(description));
    });
}

/** A description as text. */
export function inspectTable({
  path,
  title,
  format,
  components,
  metadata,
  missing,
  remarks,
  prediction,
  lora,
}: Description): string {
  const rows = components.map(rowOf);
  if (components.length > 1) rows.push(rowOf(total(components)));
  const table = rows.length === 0 ? [] : ["", ...align([["part", "tensors", "parameters", "size", "numbers"], ...rows])];
  const about = Object.entries(metadata).map(([key, value]) => `  ${key}: ${short(value)}`);
  return [
    path,
    `${title} (${format})`,
    ...(prediction ? [`predicts ${predictionInWords(prediction)} (${prediction.from})`] : []),
    ...(lora
      ? [
          `${lora.methods.join(", ") || "LoRA"}: ${lora.spelling}; ${lora.layers} layers; ${lora.ranks.length > 0 ? `rank ${lora.ranks.join(", ")}` : "no rank"}`,
        ]
      : []),
    ...table,
    ...(missing.length > 0 ? ["", `missing: ${missing.join(", ")}`] : []),
    ...(remarks.length > 0 ? ["", ...remarks] : []),
    ...(about.length > 0 ? ["", "metadata:", ...about] : []),
    "",
  ].join("\n");
}

const rowOf = ({ name, tensors, parameters, bytes, dtypes }: PartDescription): string[] => [
  name,
  String(tensors),
  count(parameters),
  byteSize(bytes),
  Object.keys(dtypes).join(" "),
];

function total(parts: readonly PartDescription[]): PartDescription {
  const dtypes: Record<string, number> = {};
  let [tensors, parameters, bytes] = [0, 0, 0];
  for (const part of parts) {
    tensors += part.tensors;
    parameters += part.parameters;
    bytes += part.bytes;
    Object.assign(dtypes, part.dtypes); // only the format names are shown
  }
  return { name: "all", tensors, parameters, bytes, dtypes };
}

/** Formats a count, such as "866,524" or "2.567 B". */
function count(n: number): string {
  if (n >= 1e9) return `${(n / 1e9).toFixed(3)} B`;
  return n >= 1e7 ? `${(n / 1e6).toFixed(1)} M` : n.toLocaleString("en-US");
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const isText = (column: number): boolean => column === 0 || column === rows[0]!.length - 1;
  return rows.map((row) =>
    row
      .map((cell, column) => (isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
}

const short = (text: string): string => {
  const line = text.replace(/\s+/g, " ");
  return line.length > 100 ? `${line.slice(0, 97)}…` : line;
};
