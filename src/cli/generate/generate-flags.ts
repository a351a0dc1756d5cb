import { z } from "zod";
import { metaOf, type OptionMeta, valueSchema } from "../../contract/option.ts";
import { GenerateRequest, LoadOptions } from "../../contract/request.ts";
import { seed } from "../../contract/seed.ts";
import { fourSides, heightAndWidth, numberOr, pathAndScale, photoAndShare, seedOr, topAndLeft } from "../terminal/flag-values.ts";
import { OutputOptions } from "./output-options.ts";

/** Sections of options, in the order in which help lists them within a group. */
export const SECTIONS = { load: LoadOptions, request: GenerateRequest, output: OutputOptions } as const;

export type Section = keyof typeof SECTIONS;

/** An option of a schema, as it appears in config files. */
export interface ConfigOption {
  readonly section: Section;
  /** The field of LoadOptions, GenerateRequest or OutputOptions. */
  readonly key: string;
  /** Whether it is a list; a config may give a single entry without brackets. */
  readonly isList: boolean;
  /** Whether it names a file to read; such paths are relative to the config file. */
  readonly isPath: boolean;
  /** Parses text to the field's type; `name` is the flag's long name. */
  readonly parse?: ((text: string, name: string) => unknown) | undefined;
  readonly flag?: Flag | undefined;
}

/** An option with a flag. */
export interface Flag extends ConfigOption {
  readonly group: string;
  /** The flag in commander's notation. */
  readonly flags: string;
  readonly help: string;
  /** `--prompt-2` */
  readonly name: string;
}

/** Every option of `generate`, whether it has a flag or not. */
export const ALL_OPTIONS: readonly ConfigOption[] = (Object.keys(SECTIONS) as Section[]).flatMap((section) =>
  Object.entries<z.ZodType>(SECTIONS[section].shape).map(([key, schema]) => optionOf(section, key, schema)),
);

const GROUPS = [
  "What to draw:",
  "Models:",
  "Size and sampling:",
  "Size conditioning of SDXL:",
  "How to run:",
  "Faster, with slightly different pictures:",
  "Input and output:",
];

/** All flags of `generate` by group. */
export const GENERATE_FLAGS: Readonly<Record<string, readonly Flag[]>> = Object.fromEntries(
  GROUPS.map((group) => [group, inOrder(ALL_OPTIONS.flatMap(({ flag }) => (flag?.group === group ? [flag] : [])))]),
);

export const ALL_FLAGS: readonly Flag[] = Object.values(GENERATE_FLAGS).flat();

function optionOf(section: Section, key: string, schema: z.ZodType): ConfigOption {
  const meta = metaOf(schema)!;
  const value = valueSchema(schema);
  const isList = value instanceof z.ZodArray;
  const option = { section, key, isList, isPath: meta.file === true, parse: parserOf(meta, value) };
  if (meta.flag === undefined) return option;
  const flags = [meta.short, meta.flag].filter(Boolean).join(", ") + (meta.value === undefined ? "" : ` <${meta.value}>`);
  return { ...option, flag: { ...option, group: meta.group, flags, help: helpOf(meta, schema), name: meta.flag } };
}

function parserOf(meta: OptionMeta, value: z.core.$ZodType): ConfigOption["parse"] {
  const ofForm = {
    WxH: heightAndWidth,
    "Y,X": topAndLeft,
    "L,T,R,B": fourSides,
    "path:scale...": pathAndScale,
    "photo:share...": photoAndShare,
  }[meta.value ?? ""];
  if (value === seed) return seedOr;
  return ofForm ?? (value instanceof z.ZodNumber ? numberOr : undefined);
}

/** Help text with the default, in words or from the schema. */
function helpOf({ description, otherwise }: OptionMeta, schema: z.ZodType): string {
  const shown = otherwise ?? defaultOf(schema);
  return [description, ...(shown === undefined ? [] : [`(default: ${shown})`])].filter((part) => part !== "").join(" ");
}

function defaultOf(schema: z.ZodType): string | undefined {
  if (!(schema instanceof z.ZodDefault)) return undefined;
  const value: unknown = schema.def.defaultValue;
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return valueSchema(schema) instanceof z.ZodEnum ? value : JSON.stringify(value);
  return Array.isArray(value) && value.length > 0 ? value.join(",") : undefined;
}

/** Sorts flags as in the schemas, except those placed after another. */
function inOrder(flags: readonly Flag[]): Flag[] {
  const after = (flag: Flag) => metaOf(SECTIONS[flag.section].shape[flag.key as never])?.after;
  const placed = flags.filter((flag) => after(flag) === undefined);
  for (const flag of flags) {
    const before = placed.findIndex(({ key }) => key === after(flag));
    if (before >= 0) placed.splice(before + 1, 0, flag);
  }
  return placed;
}

/** `--prompt-2` of "--prompt-2 <text>". */
export const longName = ({ name }: Flag): string => name;

/** The name commander gives a flag: `prompt2` for `--prompt-2`. Underscores are treated as dashes. */
export const camelCase = (name: string): string =>
  name.replace(/^-+/, "").replace(/[-_]+([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
