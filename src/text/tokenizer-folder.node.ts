import { join } from "node:path";
import { messageOf, systemCode, UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { readText as readTextFile } from "../core/read-text.node.ts";
import { clipMerges } from "./clip-merges.node.ts";
import { createTokenizer, type Tokenizer } from "./tokenizer.ts";

/** The padding token, in which SDXL's two tokenizers differ, for models that come without tokenizers. */
const SDXL_PAD = { tokenizer: "<|endoftext|>", tokenizer_2: "!" } as const;
export type TokenizerName = keyof typeof SDXL_PAD;

/** CLIP's tokenizer with the padding of this SDXL tokenizer. */
export const sdxlTokenizer = (name: TokenizerName): Tokenizer =>
  createTokenizer({ merges: clipMerges(), config: { pad_token: SDXL_PAD[name] } });

/**
 * The tokenizer of a diffusers folder: vocab.json, merges.txt, tokenizer_config.json, special_tokens_map.json. Where both
 * vocabulary files are missing, CLIP's vocabulary is used, and a notice says so.
 * @throws UserError tokenizer/incomplete, tokenizer/unreadable, tokenizer/config, tokenizer/vocabulary, text/encoding
 */
export async function readTokenizerFolder(
  folder: string,
): Promise<{ readonly tokenizer: Tokenizer; readonly notices: readonly Notice[] }> {
  const [merges, vocabulary, config, map] = await Promise.all(
    ["merges.txt", "vocab.json", "tokenizer_config.json", "special_tokens_map.json"].map((name) => readText(join(folder, name))),
  );
  if (config === undefined && map === undefined) throw incomplete(folder, "tokenizer_config.json");
  const settings = { ...parse(map, folder, "special_tokens_map.json"), ...parse(config, folder, "tokenizer_config.json") };
  if (merges === undefined && vocabulary === undefined) {
    const notice: Notice = { code: "tokenizer/embedded", message: `${folder} has no vocabulary: CLIP's own is used.` };
    return { tokenizer: createTokenizer({ merges: clipMerges(), config: settings }), notices: [notice] };
  }
  if (merges === undefined) throw incomplete(folder, "merges.txt");
  if (vocabulary === undefined) throw incomplete(folder, "vocab.json");
  const ids = parse(vocabulary, folder, "vocab.json") as Record<string, number>;
  return { tokenizer: createTokenizer({ merges, vocabulary: ids, config: settings }), notices: [] };
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readTextFile(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    if (error instanceof UserError) throw error;
    throw new UserError(
      "tokenizer/unreadable",
      `${path} cannot be read: ${messageOf(error)}.`,
      "Check the file and its permissions.",
      { cause: error },
    );
  }
}

function parse(text: string | undefined, folder: string, name: string): Record<string, unknown> {
  try {
    return JSON.parse(text ?? "{}");
  } catch (error) {
    throw new UserError(
      "tokenizer/unreadable",
      `${join(folder, name)} is not JSON: ${messageOf(error)}.`,
      "Download the model again.",
      { cause: error },
    );
  }
}

const incomplete = (folder: string, name: string): UserError =>
  new UserError("tokenizer/incomplete", `${folder} has no ${name}.`, "Download the model again, with its tokenizer folders.");
