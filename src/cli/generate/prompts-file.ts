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

/** Endings of files that are lists in another form, and of pictures, whose lines would be drawn as words. */
const OTHER_FORM = /\.(csv|tsv|xlsx?|ya?ml|toml|xml|html?|docx?|rtf|pdf|png|jpe?g|webp)$/i;

/**
 * Prompts from a file: a text with one a line; where it ends in .jsonl, JSON a line, a text or an object with options of a request, named as
 * in a config; or, where it ends in .json, a list of these. Empty lines are left out, and in a text those that begin with "# ". Files that a line
 * names are looked for beside the list.
 * @returns of a .json file, the place in the list for the line
 * @throws UserError file/missing, text/encoding, prompts/none, prompts/format, prompts/flags, prompts/not-a-request, config/not-json, config/unknown-key,
 *   config/given-twice
 */
export async function readPromptsFile(path: string): Promise<PromptLine[]> {
  if (OTHER_FORM.test(path))
    throw new UserError(
      "prompts/format",
      `${path} is a ${/[^.]*$/.exec(path)![0].toLowerCase()} file, and lists of prompts are read as text, JSON or JSON lines.`,
      'Save it as .txt with one prompt a line, or as .jsonl with a line such as {"prompt": "a cat", "negativePrompt": "blurry"}.',
    );
  const text = await readText(path).catch((error: unknown) => {
    throw asReadError(error, path);
  });
  if (/\.json$/i.test(path))
    return atLeastOne(await Promise.all(listIn(text, path).map((value, i) => lineOf(value, i + 1, path))), path);
  const isText = !/\.jsonl$/i.test(path);
  const lines = text
    .split(/\r\n|\n|\r/)
    .map((content, i) => ({ line: i + 1, content: content.trim() }))
    .filter(({ content }) => content !== "" && !(isText && /^#(\s|$)/.test(content)));
  atLeastOne(lines, path);
  if (!isText)
    return Promise.all(
      lines.map(({ line, content }) => {
        const name = `line ${line} of ${path}`;
        return lineOf(
          content.startsWith('"') ? parseObject(`{"prompt": ${content}}`, name).prompt : parseObject(content, name),
          line,
          path,
        );
      }),
    );
  const flags = lines.find(({ content }) => /^--?[a-z][\w-]*(\s|=|$)/i.test(content));
  if (flags !== undefined)
    throw new UserError(
      "prompts/flags",
      `Line ${flags.line} of ${path} begins with a flag, and would be drawn as words: ${flags.content}.`,
      'Write a .jsonl with options of each prompt, a line such as {"prompt": "a cat", "steps": 20, "seed": 1}.',
    );
  return lines.map(({ line, content }) => ({ line, request: { prompt: content } }));
}

function atLeastOne<T>(lines: readonly T[], path: string): T[] {
  if (lines.length > 0) return [...lines];
  throw new UserError("prompts/none", `${path} has no prompt.`, "Write one prompt a line.");
}

/** The list in a .json file. */
function listIn(text: string, path: string): readonly unknown[] {
  const { list } = parseObject(`{"list": ${text}}`, path);
  if (Array.isArray(list)) return list as unknown[];
  throw new UserError(
    "config/not-json",
    `${path} is not a JSON list.`,
    'Write it like this: ["a cat", {"prompt": "a dog", "seed": 1}].',
  );
}

async function lineOf(value: unknown, line: number, path: string): Promise<PromptLine> {
  if (typeof value === "string") return { line, request: { prompt: value } };
  const name = `line ${line} of ${path}`;
  const { request, load, output } = await optionsFrom(
    parseObject(JSON.stringify(value), name),
    { path, name, picture: false },
    new Set(),
  );
  const [other] = [...Object.keys(load), ...Object.keys(output)];
  if (other === undefined) return { line, request };
  throw new UserError(
    "prompts/not-a-request",
    `${name} gives ${other}, which is the same for all prompts: the model is loaded once.`,
    "Give it as a flag or in --config, and take it out of the line.",
  );
}
