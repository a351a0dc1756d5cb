import { UserError } from "../../core/errors.ts";
import { readText } from "../../core/read-text.node.ts";
import { asReadError } from "../../weights/file-access.node.ts";
import { optionsFrom, parseObject } from "./config-file.ts";

/** One prompt of a file, with the options that it has of its own. */
export interface PromptLine {
  /** 1-based in the file. */
  readonly line: number;
  /** Options of the request, not yet checked. */
  readonly request: Readonly<Record<string, unknown>>;
}

/**
 * Prompts from a file: a text with one a line; or, where it ends in .jsonl, JSON a line, a text or an object with options of a request, named as
 * in a config. Empty lines are left out. Files that a line names are looked for beside the list.
 * @throws UserError file/missing, text/encoding, prompts/none, prompts/not-a-request, config/not-json, config/unknown-key, config/given-twice
 */
export async function readPromptsFile(path: string): Promise<PromptLine[]> {
  const text = await readText(path).catch((error: unknown) => {
    throw asReadError(error, path);
  });
  const lines = text
    .split(/\r\n|\n|\r/)
    .flatMap((content, i) => (content.trim() === "" ? [] : [{ line: i + 1, content: content.trim() }]));
  if (lines.length === 0) throw new UserError("prompts/none", `${path} has no prompt.`, "Write one prompt a line.");
  if (!/\.jsonl$/i.test(path)) return lines.map(({ line, content }) => ({ line, request: { prompt: content } }));
  return Promise.all(
    lines.map(async ({ line, content }) => {
      const name = `line ${line} of ${path}`;
      if (content.startsWith('"')) return { line, request: { prompt: parseObject(`{"prompt": ${content}}`, name).prompt } };
      const { request, load, output } = await optionsFrom(parseObject(content, name), { path, name, picture: false }, new Set());
      const [other] = [...Object.keys(load), ...Object.keys(output)];
      if (other !== undefined)
        throw new UserError(
          "prompts/not-a-request",
          `${name} gives ${other}, which is the same for all prompts: the model is loaded once.`,
          "Give it as a flag or in --config, and take it out of the line.",
        );
      return { line, request };
    }),
  );
}
