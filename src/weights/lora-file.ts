import { UserError } from "../core/errors.ts";
import { identify, KIND_NAMES, type Kind } from "./identify.ts";
import { unwrapStateDict } from "./model.ts";
import type { Tensors } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";

/** Remedies for files of other kinds that are given as a LoRA. */
const REMEDIES: { readonly [K in Kind]?: (path: string) => string } = {
  "photomaker-v1": () => "Give it with --adapter.",
  "photomaker-v2": () => "Give it with --adapter.",
  sdxl: () => "Give it with --model.",
  "unet-sdxl": () => "Take it out of --lora, and give it with --unet.",
  vae: () => "Take it out of --lora, and give it with --vae.",
  "clip-text": () => "Take it out of --lora, and give it with --text-encoder.",
  "clip-text-projection": () => "Take it out of --lora, and give it with --text-encoder-2 or --text-encoder.",
  "tiny-vae": () => "Give it with --tiny-vae.",
  "textual-inversion": (path) =>
    `Give it with --embeddings ${path} (embeddings in code), and write embedding:${nameOf(path)} in the prompt or the negative prompt.`,
};

const nameOf = (path: string): string => path.replace(/^.*[\\/]/, "").replace(/\.\w+$/, "");

/**
 * The tensors of a file that is given as a LoRA.
 * @throws UserError lora/wrong-kind for what is recognised as something else
 */
export function loraTensors(file: TensorFile): Tensors {
  const tensors = unwrapStateDict(file);
  const kind = identify(tensors);
  if (kind === "lora" || kind === "unknown") return tensors;
  throw new UserError(
    "lora/wrong-kind",
    `${file.path} is ${KIND_NAMES[kind]}, not a LoRA.`,
    REMEDIES[kind]?.(file.path) ?? "Take it out of --lora: nothing here uses such a file.",
  );
}
