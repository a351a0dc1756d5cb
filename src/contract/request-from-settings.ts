import type { z } from "zod";
import { UserError } from "../core/errors.ts";
import { metaOf } from "./option.ts";
import { type GenerateInput, GenerateRequest, type LoadInput, LoadOptions } from "./request.ts";

/** Input that a picture's settings do not contain and the caller must supply. */
export interface Missing {
  readonly section: "request" | "load";
  /** The option, such as `inputIdImages`. */
  readonly key: string;
  /** A file stands in the request by its name without folders; numbers and bytes are left out of the request. */
  readonly what: "file" | "numbers" | "bytes";
  /** The file's name, or a description such as `<numbers [2, 2048]>`. */
  readonly name: string;
}

export interface FromSettings {
  /** Request for `PhotoMaker.generate`. */
  readonly request: GenerateInput;
  /** Options for `PhotoMaker.load`: the models, and how they ran. */
  readonly load: LoadInput;
  /** 0-based among the pictures of the request. */
  readonly index: number;
  /** In the order of the settings. */
  readonly missing: readonly Missing[];
}

/**
 * Recovers the request and the load options from a picture's `settings`, those of an image event or of its PNG. Options about memory
 * (`unloadAfterUse`, `encodingCacheBytes`) do not affect the picture and are left out.
 * @example
 * ```js
 * import { requestFromSettings } from "photomaker";
 *
 * const settings = { prompt: "a photo of a man img", inputIdImages: ["me.jpg"], seed: 42, load: { model: "sdxl", adapter: "v1.bin" } };
 * const { request, load, missing } = requestFromSettings(settings);
 * console.log(request.prompt, load.model); // a photo of a man img sdxl
 * console.log(missing.map(({ key }) => key).join()); // inputIdImages,model,adapter
 * ```
 * @throws UserError settings/none
 */
export function requestFromSettings(settings: unknown): FromSettings {
  if (typeof settings !== "object" || settings === null || Array.isArray(settings))
    throw new UserError(
      "settings/none",
      "The picture does not say how it was made.",
      "Give the settings of a picture that photomaker made.",
    );
  const { index, load, chosen, idFaces: _found, idLikeness: _judged, ...rest } = settings as Record<string, unknown>;
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
    ...(madeWithoutCrop(rest) && { idCrop: "off" }),
    ...(!("promptSyntax" in rest) && texts.some((text) => READ_OTHERWISE.test(text)) && { promptSyntax: "none" }),
  };
}

/** Whether a picture's settings, which say every option, say nothing of how its photos were cropped: then photos were taken whole. */
const madeWithoutCrop = (rest: Record<string, unknown>): boolean =>
  "numImagesPerPrompt" in rest &&
  !("idCrop" in rest) &&
  [rest.inputIdImages, rest.people].some((list) => Array.isArray(list) && list.length > 0);

const SHAPES: Readonly<Record<Missing["section"], Readonly<Record<string, z.ZodType>>>> = {
  request: GenerateRequest.shape,
  load: LoadOptions.shape,
};

/** Values of a section of the settings; adds what they lack to `missing`. */
function held(section: Missing["section"], values: Record<string, unknown>, missing: Missing[]): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    const namesFiles = key === "idTokens" || metaOf(SHAPES[section][key])?.file === true;
    const kept = namesFiles ? keep(value, (what, name) => missing.push({ section, key, what, name })) : value;
    if (kept !== undefined) out[key] = kept;
  }
  return out;
}

/** A value without the parts that are only described in it. */
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

/** Fields of a person or a hint whose text is not a file name. */
const NO_FILES: ReadonlySet<string> = new Set(["trigger", "face"]);
