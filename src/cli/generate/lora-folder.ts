import { readdir } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import type { GenerateRequest, LoadOptions } from "../../contract/request.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import { LORA_TAGS, loraName } from "../../pipeline/encode/tag-notices.ts";
import { parsePrompt } from "../../text/prompt-tree.ts";

/** Endings of LoRAs, the better one first. */
const ENDINGS = [".safetensors", ".gguf", ".pt", ".bin"];

/**
 * The LoRAs that `<lora:name:0.8>` in prompts asks for and the folder has, beside those that are given. What the folder lacks is said when the
 * prompt is read.
 * @throws UserError lora/folder, and those of parsePrompt
 */
export async function withPromptLoras(load: LoadOptions, request: GenerateRequest): Promise<LoadOptions> {
  const { loraFolder, loras } = load;
  if (loraFolder === undefined || request.promptSyntax === "none") return load;
  const texts = [request.prompt, request.prompt2, request.negativePrompt, request.negativePrompt2];
  const tags = texts.flatMap((text) =>
    text === undefined ? [] : parsePrompt(text).tags.filter(({ kind }) => LORA_TAGS.has(kind)),
  );
  if (tags.length === 0) return load;
  const folder = resolve(loraFolder);
  const there = await readdir(folder, { recursive: true }).catch((error: unknown) => {
    throw new UserError(
      "lora/folder",
      `${folder}, the folder of LoRAs, cannot be read: ${messageOf(error)}.`,
      "Give a folder with LoRA files: --lora-folder <folder>.",
      { cause: error },
    );
  });
  const files = there
    .filter((name) => ENDINGS.includes(extname(name).toLowerCase()))
    .toSorted(
      (a, b) => ENDINGS.indexOf(extname(a).toLowerCase()) - ENDINGS.indexOf(extname(b).toLowerCase()) || (a < b ? -1 : 1),
    );
  const known = new Set(loras.map(({ path }) => loraName(path).toLowerCase()));
  const more: LoadOptions["loras"] = [];
  for (const { name, weight, blocks } of tags) {
    const key = loraName(name).toLowerCase();
    const found = files.find((file) => loraName(file).toLowerCase() === key);
    if (known.has(key) || found === undefined) continue;
    known.add(key);
    more.push({ path: join(folder, found), scale: weight, ...(blocks && { blocks: [...blocks] }) });
  }
  return { ...load, loras: [...loras, ...more] };
}
