import { UserError } from "../../core/errors.ts";
import type { HubId } from "./hub-id.ts";

const WEIGHTS = ["unet", "vae", "text_encoder", "text_encoder_2"] as const;
const TOKENIZERS = ["tokenizer", "tokenizer_2"] as const;

export interface ChosenFiles {
  readonly files: readonly string[];
  /** What is to be opened, relative to the snapshot: "" for the whole folder, or one file. */
  readonly open: string;
}

/**
 * The files of a repository that are needed to open what it holds: a diffusers model (each component's weights in one
 * form only), one component alone, such as a VAE, or one file of weights, such as a PhotoMaker adapter or a LoRA.
 *
 * @param paths all files of the repository
 * @param variant such as "fp16", taken where a component has it
 * @throws UserError download/no-such-file, download/no-weights, download/not-sdxl, download/choose-file
 */
export function chooseFiles(paths: readonly string[], id: HubId, variant?: string): ChosenFiles {
  if (id.file !== undefined) {
    if (paths.includes(id.file)) return { files: [id.file], open: id.file };
    const some = paths.filter(isWeights).slice(0, 8).join(", ");
    throw new UserError(
      "download/no-such-file",
      `${id.repo} has no file ${id.file}.`,
      some === "" ? "Check the spelling." : `It has ${some}.`,
    );
  }
  return paths.includes("model_index.json") ? chooseModel(paths, id.repo, variant) : chooseSingle(paths, id.repo, variant);
}

function chooseModel(paths: readonly string[], repo: string, variant: string | undefined): ChosenFiles {
  const files = ["model_index.json"];
  for (const component of WEIGHTS) {
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
  if (paths.includes("scheduler/scheduler_config.json")) files.push("scheduler/scheduler_config.json");
  return { files, open: "" };
}

/** Names of one form of a component's weights: safetensors before bin, the variant before the default before fp16. */
function chooseForm(names: readonly string[], variant: string | undefined): string[] | undefined {
  for (const end of ["safetensors", "bin"])
    for (const mark of new Set([variant ? `.${variant}` : "", "", ".fp16"])) {
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
