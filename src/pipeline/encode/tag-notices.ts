import type { LoadOptions } from "../../contract/request.ts";
import type { Notice } from "../../core/notice.ts";
import type { PromptTag } from "../../text/prompt-tree.ts";

/** Tags that name a LoRA. */
export const LORA_TAGS: ReadonlySet<string> = new Set(["lora", "lyco", "lycoris"]);

/** A LoRA's name as prompts have it: its file without folder and ending. */
export const loraName = (path: string): string => path.replace(/^.*[\\/]/, "").replace(/\.(safetensors|gguf|pt|bin)$/i, "");

/** What a prompt's tags ask for, and is not as they say. */
export function tagNotices(tags: readonly PromptTag[], loras: LoadOptions["loras"]): Notice[] {
  return tags.flatMap(({ kind, name, weight, blocks, rest, written }): Notice[] => {
    if (!LORA_TAGS.has(kind))
      return [
        {
          code: "prompt/tag-unknown",
          message: `${written} in the prompt is not known here and has no effect: tags name LoRAs, as in <lora:name:0.8>.`,
        },
      ];
    const wanted = loraName(name).toLowerCase();
    const loaded = loras.filter(({ path }) => loraName(path).toLowerCase() === wanted);
    if (loaded.length === 0)
      return [
        {
          code: "prompt/lora-not-loaded",
          message: `${written} in the prompt names a LoRA that is not loaded, so it has no effect. Give it with --lora ${name}.safetensors:${weight} (loras in code), or its folder with --lora-folder.`,
        },
      ];
    const notices: Notice[] = [];
    if (rest.length > 0)
      notices.push({
        code: "prompt/tag-part",
        message: `Of ${written} in the prompt, this has no counterpart here and no effect: ${rest.join(", ")}.`,
      });
    const same = loaded.some((lora) => lora.scale === weight && (blocks === undefined || lora.blocks?.join() === blocks.join()));
    if (!same)
      notices.push({
        code: "prompt/lora-strength",
        message: `${written} in the prompt asks for another strength than ${loaded[0]!.scale}${loaded[0]!.blocks === undefined ? "" : `, by blocks ${loaded[0]!.blocks.join()}`}, with which that LoRA was loaded and acts.`,
      });
    return notices;
  });
}
