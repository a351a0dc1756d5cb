import type { z } from "zod";
import { UserError } from "../core/errors.ts";
import { metaOf } from "./option.ts";
import { type GenerateInput, GenerateRequest, type LoadInput, LoadOptions } from "./request.ts";

/** What a picture cannot hold, and whoever makes it again must give. */
export interface Missing {
  readonly section: "request" | "load";
  /** The option, such as `inputIdImages`. */
  readonly key: string;
  /** A file is known by its name without folders, and is named so in the request; numbers and bytes are left out of it. */
  readonly what: "file" | "numbers" | "bytes";
  /** The file's name, or a description such as `<numbers [2, 2048]>`. */
  readonly name: string;
}

export interface FromSettings {
  /** For `PhotoMaker.generate`. */
  readonly request: GenerateInput;
  /** For `PhotoMaker.load`: models and how they ran. */
  readonly load: LoadInput;
  /** Which of the request's pictures it is. */
  readonly index: number;
  /** In the order of the settings. */
  readonly missing: readonly Missing[];
}

/**
 * The way back from a picture's `settings`, of an image event or read from its PNG: the request and the models that made it. What
 * keeps models in memory (`unloadAfterUse`, `encodingCacheBytes`) says nothing of the picture and is left out.
 * @throws UserError settings/none
 */
export function requestFromSettings(settings: unknown): FromSettings {
  if (typeof settings !== "object" || settings === null || Array.isArray(settings))
    throw new UserError(
      "settings/none",
      "The picture does not say how it was made.",
      "Give the settings of a picture that photomaker made.",
    );
  const { index, load, chosen, ...rest } = settings as Record<string, unknown>;
  const request = withTexts(rest, chosen);
  const { unloadAfterUse: _, encodingCacheBytes: __, ...models } = (load ?? {}) as Record<string, unknown>;
  const missing: Missing[] = [];
  return {
    request: held("request", request, missing) as GenerateInput,
    load: held("load", models, missing) as LoadInput,
    index: typeof index === "number" ? index : 0,
    missing,
  };
}

/**
 * What prompts may have that would be read otherwise than before there was a syntax: its signs, marks before a trigger word, and more words than one
 * chunk takes.
 */
const READ_OTHERWISE = /[()[\]\\{}<]|\bBREAK\b|embedding:|__|[^\p{L}\p{N}\s] ?\S+|[\s\S]{75}/u;

/**
 * With what wildcards became, so that the folder is not needed again. Pictures that say nothing of a prompt's syntax were made when there was none.
 */
function withTexts(request: Record<string, unknown>, chosen: unknown): Record<string, unknown> {
  const { wildcards, ...rest } = request;
  const known = typeof chosen === "object" && chosen !== null;
  const texts = [rest.prompt, rest.prompt2, rest.negativePrompt, rest.negativePrompt2].map((text) => String(text ?? ""));
  return {
    ...rest,
    ...(known ? chosen : wildcards !== undefined && { wildcards }),
    ...(!("promptSyntax" in rest) && texts.some((text) => READ_OTHERWISE.test(text)) && { promptSyntax: "none" }),
  };
}

const SHAPES: Readonly<Record<Missing["section"], Readonly<Record<string, z.ZodType>>>> = {
  request: GenerateRequest.shape,
  load: LoadOptions.shape,
};

/** What the settings hold of a section; notes what they lack. */
function held(section: Missing["section"], values: Record<string, unknown>, missing: Missing[]): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    const namesFiles = key === "idTokens" || metaOf(SHAPES[section][key])?.file === true;
    const kept = namesFiles ? keep(value, (what, name) => missing.push({ section, key, what, name })) : value;
    if (kept !== undefined) out[key] = kept;
  }
  return out;
}

/** A value without what is only described in it. */
function keep(value: unknown, lacks: (what: Missing["what"], name: string) => void): unknown {
  if (typeof value === "string") {
    const [, described] = /^<(numbers|\d+ bytes)\b.*>$/.exec(value) ?? [];
    if (described !== undefined) return void lacks(described === "numbers" ? "numbers" : "bytes", value);
    if (!value.includes("/")) lacks("file", value); // with a slash it is a repository of the hub
    return value;
  }
  if (Array.isArray(value)) return value.map((each) => keep(each, lacks)).filter((each) => each !== undefined);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, each]) => [name, NO_FILES.has(name) ? each : keep(each, lacks)] as const);
  return Object.fromEntries(entries.filter(([, each]) => each !== undefined));
}

/** Fields of a person or a hint that hold text and no files. */
const NO_FILES: ReadonlySet<string> = new Set(["trigger", "face"]);
