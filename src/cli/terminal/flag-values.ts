import { Option } from "commander";
import { UserError } from "../../core/errors.ts";

/** Parses a number; returns other text unchanged, for the schema to refuse with the flag's name. */
export const numberOr = (text: string): number | string =>
  text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;

/** A seed: the digits of one that a number would round, else as {@link numberOr}. */
export const seedOr = (text: string): number | string =>
  /^\s*\d+\s*$/.test(text) && !Number.isSafeInteger(Number(text)) ? text.trim() : numberOr(text);

/**
 * Parses a whole number within bounds.
 * @throws UserError such as people/not-whole
 */
export function wholeNumber(text: string, flag: string, low: number, high: number): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isSafeInteger(value) && value >= low && value <= high) return value;
  throw new UserError(
    `${flag.replace(/^-+/, "")}/not-whole`,
    `${flag} is "${text}", and must be a whole number from ${low} to ${high}.`,
    `For example: ${flag} ${low}.`,
  );
}

/** An option with such a number, like "--people <n>". */
export function wholeNumberOption(flags: string, help: string, low: number, high: number): Option {
  const [name] = flags.split(" ") as [string];
  return new Option(flags, help).argParser((text) => wholeNumber(text, name, low, high));
}

/**
 * Checks the name of a folder to write to.
 * @throws UserError out/stdout
 */
export function folderName(text: string): string {
  if (text !== "-") return text;
  throw new UserError(
    "out/stdout",
    'A folder is needed here, but "-" stands for stdout, which takes one file.',
    "Name a folder. For a folder named -, write ./-.",
  );
}

const pair = (text: string, separator: string, flag: string, form: string, example: string): [number, number] => {
  const [, first, second] = new RegExp(`^\\s*(\\d+)\\s*[${separator}]\\s*(\\d+)\\s*$`).exec(text) ?? [];
  if (first === undefined || second === undefined)
    throw new UserError(
      `${flag.replace(/^-+/, "")}/wrong-form`,
      `${flag} is "${text}", and must be ${form}.`,
      `For example: ${flag} ${example}.`,
    );
  return [Number(first), Number(second)];
};

/** Parses `WIDTHxHEIGHT` to [height, width], the order of the request and of diffusers. */
export function heightAndWidth(text: string, flag: string): [number, number] {
  const [width, height] = pair(text, "xX×", flag, "WIDTHxHEIGHT in pixels", "1024x768");
  return [height, width];
}

/** Parses `Y,X` to [top, left]. */
export const topAndLeft = (text: string, flag: string): [number, number] => pair(text, ",", flag, "Y,X in pixels", "0,128");

/**
 * Parses `path:scale`, or a path alone with scale 1. The path may contain colons (Windows drives, `org/name:file`). Behind `:lbw=` stand
 * weights of blocks, as sd-webui-lora-block-weight writes them.
 * @throws UserError lora/scale, lora/blocks
 */
export function pathAndScale(text: string): { path: string; scale: number; blocks?: number[] } {
  const [, before, list] = /^(.+):lbw=([^:/\\]*)$/.exec(text) ?? [];
  if (before === undefined || list === undefined) return withScale(text);
  const blocks = list.split(",").map((number) => (number.trim() === "" ? Number.NaN : Number(number)));
  if (blocks.every(Number.isFinite)) return { ...withScale(before), blocks };
  throw new UserError(
    "lora/blocks",
    `--lora ${text}: "${list}" are no weights of blocks.`,
    `Write 12 or 20 numbers with commas between, as in ${before}:lbw=1,0,0,0,0,0,1,1,1,1,1,1.`,
  );
}

function withScale(text: string): { path: string; scale: number } {
  const [, path, scale] = /^(.+):([^:/\\]*)$/.exec(text) ?? [];
  if (path === undefined || scale === undefined) return { path: text, scale: 1 };
  if (scale.trim() !== "" && Number.isFinite(Number(scale))) return { path, scale: Number(scale) };
  if (!/\.(safetensors|gguf|bin|pt|ckpt)$/i.test(path)) return { path: text, scale: 1 };
  throw new UserError(
    "lora/scale",
    `--lora ${text}: "${scale}" is not a number.`,
    `Write the strength after the colon, as in ${path}:0.8.`,
  );
}
