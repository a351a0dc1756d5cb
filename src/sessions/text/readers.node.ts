import type { Notice } from "../../core/notice.ts";
import type { ClipTextModelConfig } from "../../models/clip-text-config.ts";
import { readTokenizerFolder, sdxlTokenizer, type TokenizerName } from "../../text/tokenizer-folder.node.ts";
import type { ModelFiles } from "../../weights/model.ts";
import type { Reader } from "./prompts.ts";

/** Opens the tokenizers of both text encoders, each with the window of its encoder. */
export async function readersOf(
  model: ModelFiles,
  configs: readonly [ClipTextModelConfig, ClipTextModelConfig],
): Promise<{ readonly readers: readonly [Reader, Reader]; readonly notices: readonly Notice[] }> {
  const notices: Notice[] = [];
  const reader = async (name: TokenizerName, { positions }: ClipTextModelConfig): Promise<Reader> => {
    const read =
      model.tokenizers === undefined
        ? { tokenizer: sdxlTokenizer(name), notices: [] }
        : await readTokenizerFolder(model.tokenizers[name]);
    notices.push(...read.notices);
    const length = Math.min(positions, read.tokenizer.maxLength);
    return { tokenizer: read.tokenizer, window: { length, pad: read.tokenizer.pad } };
  };
  const readers = [await reader("tokenizer", configs[0]), await reader("tokenizer_2", configs[1])] as const;
  return { readers, notices };
}
