import { Option } from "commander";
import { UserError } from "../core/errors.ts";

/** A number where the text is one; other text as it is, for the schema to refuse with the flag's name. */
export const numberOr = (text: string): number | string =>
  text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;

/**
 * A whole number between two others.
 * @throws UserError such as people/not-whole
 */
export function wholeNumber(text: string, flag: string, low: number, high: number): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isSafeInteger(value) && value >= low && value <= high) return value;
  throw new UserError(
    `${flag.replace(/^-+/, "")}/not-whole`,
    `${flag} is "${text}", and must be a whole number from ${low} to ${high}.`,
    `Write it as in ${flag} ${low}.`,
  );
}

/** An option whose value is one, such as "--people <n>". */
export function wholeNumberOption(flags: string, help: string, low: number, high: number): Option {
  const [name] = flags.split(" ") as [string];
  return new Option(flags, help).argParser((text) => wholeNumber(text, name, low, high));
}

/**
 * The name of a folder to write to.
 * @throws UserError out/stdout
 */
export function folderName(text: string): string {
  if (text !== "-") return text;
  throw new UserError(
    "out/stdout",
    'A folder is to be written, and "-" stands for stdout, which takes one file.',
    "Name a folder; ./- is one of that name.",
  );
}

const pair = (text: string, separator: string, flag: string, form: string, example: string): [number, number] => {
  const [, first, second] = new RegExp(`^\\s*(\\d+)\\s*[${separator}]\\s*(\\d+)\\s*$`).exec(text) ?? [];
  if (first === undefined || second === undefined)
    throw new UserError(
      `${flag.replace(/^-+/, "")}/wrong-form`,
      `${flag} is "${text}", and must be ${form}.`,
      `Write it as in ${flag} ${example}.`,
    );
  return [Number(first), Number(second)];
};

/** `WIDTHxHEIGHT` as [height, width], the order of the request and of diffusers. */
export function heightAndWidth(text: string, flag: string): [number, number] {
  const [width, height] = pair(text, "xX×", flag, "WIDTHxHEIGHT in pixels", "1024x768");
  return [height, width];
}

/** `Y,X` as [top, left]. */
export const topAndLeft = (text: string, flag: string): [number, number] => pair(text, ",", flag, "Y,X in pixels", "0,128");

/**
 * `path:scale`, or a path alone, whose scale is 1. Colons in the path (Windows drives, `org/name:file`) are no matter. Behind `:lbw=` stand
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
  if (!/\.(safetensors|bin|pt|ckpt)$/i.test(path)) return { path: text, scale: 1 };
  throw new UserError(
    "lora/scale",
    `--lora ${text}: "${scale}" is no number.`,
    `Write the strength behind the colon, as in ${path}:0.8.`,
  );
}
