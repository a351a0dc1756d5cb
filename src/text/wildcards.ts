import { UserError } from "../core/errors.ts";
import type { Random } from "../core/random/seeded-random.ts";

/** Lines of a wildcard, or undefined if there is none of this name. */
export type Wildcards = (name: string) => Promise<readonly string[] | undefined>;

const VARIANTS = /(?<!\\)\{([^{}]*\|[^{}]*)\}/;
const NAMED = /__([\p{L}\p{N}][\p{L}\p{N}/ .-]*(?:_[\p{L}\p{N}/ .-]+)*)__/u;
/** Wildcards inside of wildcards, and choices in all. */
const MOST = 200;

/** Whether a prompt asks for choices. */
export const hasChoices = (text: string): boolean => NAMED.test(text) || VARIANTS.test(text);

/**
 * A prompt with its choices made: `__name__` becomes a line of that wildcard, which may hold choices itself, and `{this|that}` one of the two,
 * `{3::this|that}` three times of four the first; `{2$$a|b|c}` two of them, `{1-2$$ and $$a|b|c}` one or two, with words between.
 * @param wildcards undefined if none are given
 * @throws UserError wildcards/not-given, wildcards/missing, wildcards/empty, wildcards/endless; those of `wildcards`
 * @see adieyal/sd-dynamic-prompts docs/SYNTAX.md
 */
export async function expandChoices(prompt: string, wildcards: Wildcards | undefined, random: Random): Promise<string> {
  let text = prompt;
  for (let count = 0; ; count++) {
    const named = NAMED.exec(text);
    const found = named ?? VARIANTS.exec(text);
    if (found === null) return text;
    if (count === MOST || text.length > 100_000)
      throw new UserError(
        "wildcards/endless",
        `The wildcards of the prompt name each other without end: "${text.slice(0, 80)}…".`,
        "Take the wildcard out of its own list.",
      );
    const chosen = named === null ? chooseVariants(found[1]!, random) : await chooseLine(named[1]!, wildcards, random);
    text = text.slice(0, found.index) + chosen + text.slice(found.index + found[0].length);
  }
}

function chooseVariants(content: string, random: Random): string {
  const [, low, high, between] = /^\s*(\d*)-?(\d*)\$\$(?:([^|]*?)\$\$)?/.exec(content) ?? [];
  const written =
    low === undefined ? content : content.slice(content.indexOf("$$") + 2 + (between === undefined ? 0 : between.length + 2));
  const variants = written.split("|").map((variant) => {
    const [head, weight] = /^\s*(\d+(?:\.\d+)?|\.\d+)::/.exec(variant) ?? [];
    return head === undefined ? { text: variant, weight: 1 } : { text: variant.slice(head.length), weight: Number(weight) };
  });
  const pick = (): string => {
    const weighted = variants.some(({ weight }) => weight !== 1) && variants.some(({ weight }) => weight > 0);
    const at = weighted
      ? Number(random.weighted(Object.fromEntries(variants.map(({ weight }, i) => [String(i), weight]))))
      : random.integer(variants.length);
    return variants.splice(at, 1)[0]!.text;
  };
  if (low === undefined) return pick();
  const isRange = /^\s*\d*-/.test(content);
  const least = low === "" ? 0 : Number(low);
  const most = Math.min(!isRange ? least : high === "" ? variants.length : Number(high), variants.length);
  const count = least + random.integer(Math.max(1, most - least + 1));
  return Array.from({ length: Math.min(count, variants.length) }, pick)
    .map((text) => text.trim())
    .join(between ?? ", ");
}

async function chooseLine(name: string, wildcards: Wildcards | undefined, random: Random): Promise<string> {
  if (wildcards === undefined)
    throw new UserError(
      "wildcards/not-given",
      `The prompt names the wildcard __${name}__, and no folder of wildcards is given.`,
      `Give the folder with ${name}.txt: --wildcards <folder> (wildcards in code).`,
    );
  const lines = await wildcards(name);
  if (lines === undefined)
    throw new UserError(
      "wildcards/missing",
      `There is no ${name}.txt for the wildcard __${name}__.`,
      "Correct the name, or put the file into the folder of wildcards.",
    );
  if (lines.length === 0)
    throw new UserError(
      "wildcards/empty",
      `${name}.txt has no lines to choose from.`,
      "Write one choice a line; lines that begin with # do not count.",
    );
  return random.pick(lines);
}

/** The choices in a wildcard's file. */
export const choicesIn = (text: string): string[] =>
  text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
