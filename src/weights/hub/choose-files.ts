import { UserError } from "../../core/errors.ts";
import { COMPONENTS, type ComponentName } from "../sdxl-single-file.ts";
import type { HubId } from "./hub-id.ts";

const TOKENIZERS = ["tokenizer", "tokenizer_2"] as const;

const SCHEDULER = "scheduler/scheduler_config.json";

export interface ChosenFiles {
  readonly files: readonly string[];
  /** What is to be opened, relative to the snapshot: "" for the whole folder, else one of its folders or files. */
  readonly open: string;
}

/** What is wanted of a repository; as in DownloadOptions. */
interface Choice {
  readonly variant?: string | undefined;
  readonly part?: ComponentName | undefined;
  readonly without?: readonly ComponentName[] | undefined;
}

/**
 * The files of a repository that are needed to open what it holds: a diffusers model (each component's weights in one
 * form only), one component alone, such as a VAE, or one file of weights, such as a PhotoMaker adapter or a LoRA.
 *
 * @param paths all files of the repository
 * @param id its file may be a folder with a component, such as `org/name:vae`
 * @param variant such as "fp16", taken where a component has it
 * @param part the only part of a model that is wanted
 * @param without parts of a model that are not wanted
 * @throws UserError download/no-such-file, download/no-weights, download/not-sdxl, download/choose-file
 */
export function chooseFiles(paths: readonly string[], id: HubId, { variant, part, without = [] }: Choice = {}): ChosenFiles {
  if (id.file !== undefined) {
    if (paths.includes(id.file)) return { files: [id.file], open: id.file };
    const inside = chooseFolder(paths, id.file.replace(/\/$/, ""), variant);
    if (inside !== undefined) return inside;
    const some = paths.filter(isWeights).slice(0, 8).join(", ");
    throw new UserError(
      "download/no-such-file",
      `${id.repo} has no file ${id.file}.`,
      some === "" ? "Check the spelling." : `It has ${some}.`,
    );
  }
  const alone = part && chooseFolder(paths, part, variant);
  if (alone !== undefined) {
    const scheduler = part === "unet" && paths.includes(SCHEDULER) ? [SCHEDULER] : []; // says what the UNet predicts
    return { ...alone, files: [...alone.files, ...scheduler] };
  }
  return paths.includes("model_index.json")
    ? chooseModel(paths, id.repo, variant, without)
    : chooseSingle(paths, id.repo, variant);
}

/** One form of the weights in a folder with its config; undefined if it has none. */
function chooseFolder(paths: readonly string[], folder: string, variant: string | undefined): ChosenFiles | undefined {
  const inside = namesIn(paths, folder);
  const weights = chooseForm(inside, variant);
  if (weights === undefined) return undefined;
  const files = ["config.json", ...weights].filter((name) => inside.includes(name));
  return { files: files.map((name) => `${folder}/${name}`), open: folder };
}

function chooseModel(
  paths: readonly string[],
  repo: string,
  variant: string | undefined,
  without: readonly ComponentName[],
): ChosenFiles {
  const files = ["model_index.json"];
  for (const component of COMPONENTS) {
    if (without.includes(component)) continue;
    const inside = namesIn(paths, component);
    if (inside.length === 0)
      throw new UserError(
        "download/not-sdxl",
        `${repo} has no ${component}, so it is not a whole SDXL model.`,
        "Choose an SDXL model, such as stabilityai/stable-diffusion-xl-base-1.0.",
      );
    const weights = chooseForm(inside, variant);
    if (weights === undefined)
      throw new UserError(
        "download/no-weights",
        `${repo} has no complete weights of its ${component} as safetensors or .bin.`,
        "Choose another revision, or a model in the diffusers layout.",
      );
    files.push(...["config.json", ...weights].filter((name) => inside.includes(name)).map((name) => `${component}/${name}`));
  }
  for (const tokenizer of TOKENIZERS)
    files.push(
      ...namesIn(paths, tokenizer)
        .filter((name) => /\.(json|txt)$/.test(name))
        .map((name) => `${tokenizer}/${name}`),
    );
  if (paths.includes(SCHEDULER)) files.push(SCHEDULER);
  return { files, open: "" };
}

/** A file of weights or the index of its shards, by its name. */
const WHOLE =
  /^(?:diffusion_pytorch_model|model|pytorch_model)(?:\.([\w-]+))?\.(safetensors|bin)(?:\.index(?:\.([\w-]+))?\.json)?$/;
const SHARD = /-\d{5}-of-\d{5}/;

/**
 * Names of one form of a component's weights: safetensors before bin, the variant before the default before fp16 and bf16 before any other.
 * @see component-folder.node.ts, which opens what is chosen here
 */
function chooseForm(names: readonly string[], variant: string | undefined): string[] | undefined {
  const marks = names.flatMap((name) => {
    const [, before, , behind] = (SHARD.test(name) ? null : WHOLE.exec(name)) ?? [];
    const mark = before ?? behind;
    return mark === undefined ? [] : [`.${mark}`];
  });
  for (const end of ["safetensors", "bin"])
    for (const mark of new Set([variant ? `.${variant}` : "", "", ".fp16", ".bf16", ...marks.sort()])) {
      for (const base of ["diffusion_pytorch_model", "model", "pytorch_model"]) {
        const single = `${base}${mark}.${end}`;
        if (names.includes(single)) return [single];
        const index = [`${base}.${end}.index${mark}.json`, `${base}${mark}.${end}.index.json`].find((name) =>
          names.includes(name),
        );
        const shards = index === undefined ? undefined : allShards(names, base, mark, end);
        if (shards !== undefined) return [index!, ...shards];
      }
    }
  return undefined;
}

/** All parts of a sharded file, or undefined if one is missing. */
function allShards(names: readonly string[], base: string, mark: string, end: string): string[] | undefined {
  const dot = mark.replaceAll(".", "\\.");
  const pattern = new RegExp(`^${base}(?:${dot}-(\\d{5})-of-(\\d{5})|-(\\d{5})-of-(\\d{5})${dot})\\.${end}$`);
  const parts = names.filter((name) => pattern.test(name));
  const [, , count, , other] = pattern.exec(parts[0] ?? "") ?? [];
  return parts.length > 0 && parts.length === Number(count ?? other) ? parts : undefined;
}

function chooseSingle(paths: readonly string[], repo: string, variant: string | undefined): ChosenFiles {
  const inside = inRoot(paths);
  const root = inside.some(isWeights) ? inside.filter(isWeights) : inside.filter((path) => path.endsWith(".gguf"));
  const adapters = root.filter((path) => /^photomaker.*\.(safetensors|bin)$/i.test(path));
  const component = paths.includes("config.json") ? chooseForm(inRoot(paths), variant) : undefined;
  if (component !== undefined && adapters.length === 0) return { files: ["config.json", ...component], open: "" };
  const candidates = withoutTwins(adapters.length > 0 ? adapters : root);
  if (candidates.length === 1) return { files: candidates, open: candidates[0]! };
  if (candidates.length === 0)
    throw new UserError(
      "download/no-weights",
      `${repo} has neither model_index.json nor a file of weights beside it.`,
      `Look at https://huggingface.co/${repo}/tree/main, and name the file that is meant, as in ${repo}:folder/file.safetensors.`,
    );
  throw new UserError(
    "download/choose-file",
    `${repo} has several files of weights: ${candidates.slice(0, 8).join(", ")}${candidates.length > 8 ? ", …" : ""}.`,
    `Name the one that is meant, as in ${repo}:${candidates[0]}.`,
  );
}

/** Of files that differ only in their form, the safest. */
function withoutTwins(paths: readonly string[]): string[] {
  const stem = (path: string): string => path.replace(/\.\w+$/, "");
  return paths.filter(
    (path) =>
      path.endsWith(".safetensors") || !paths.some((other) => other.endsWith(".safetensors") && stem(other) === stem(path)),
  );
}

const inRoot = (paths: readonly string[]): string[] => paths.filter((path) => !path.includes("/"));

const isWeights = (path: string): boolean => /\.(safetensors|bin|ckpt|pth?)$/.test(path);

const namesIn = (paths: readonly string[], folder: string): string[] =>
  paths
    .filter((path) => path.startsWith(`${folder}/`) && !path.slice(folder.length + 1).includes("/"))
    .map((path) => path.slice(folder.length + 1));
