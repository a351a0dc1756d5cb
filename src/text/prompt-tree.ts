import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";

/** A part of a prompt as it is written. */
export type PromptNode =
  | { readonly kind: "text"; readonly text: string }
  /** A textual inversion, by its name. */
  | { readonly kind: "embedding"; readonly name: string }
  /** A new chunk begins. */
  | { readonly kind: "break" }
  /** Brackets that weigh what is in them. */
  | { readonly kind: "weighted"; readonly weight: number; readonly nodes: readonly PromptNode[] }
  /** One text up to a step, another after it. */
  | {
      readonly kind: "schedule";
      readonly before: readonly PromptNode[];
      readonly after: readonly PromptNode[];
      readonly when: When;
    }
  /** Texts that take turns, a step each. */
  | { readonly kind: "alternate"; readonly turns: readonly (readonly PromptNode[])[] };

/** When a schedule changes: a share of the steps, or a number of them. */
export type When = { readonly share: number } | { readonly step: number };

/** `<lora:name:0.8>`: a file that the prompt asks for. */
export interface PromptTag {
  readonly kind: string;
  readonly name: string;
  readonly weight: number;
  /** How much of it each block takes, behind `lbw=`. */
  readonly blocks?: readonly number[];
  /** What else stands in it, such as "start=5". */
  readonly rest: readonly string[];
  readonly written: string;
}

export interface PromptTree {
  readonly nodes: readonly PromptNode[];
  readonly tags: readonly PromptTag[];
  readonly notices: readonly Notice[];
}

/** What a round bracket does to what is in it; a square one divides by it. */
export const BRACKET_WEIGHT = 1.1;

/** `:` and `|` inside square brackets, until it is known what they mean. */
type Mark = { readonly kind: "mark"; readonly mark: ":" | "|" };
type Open = { readonly bracket: "(" | "[" | ""; readonly nodes: (PromptNode | Mark)[]; readonly at: number };

/** Brackets within brackets: more are a slip. */
const MOST_OPEN = 100;

const tooDeep = (what: string): UserError =>
  new UserError(
    "prompt/nesting",
    `The ${what} has more than ${MOST_OPEN} brackets within each other.`,
    "Write a weight as a number, as in (word:1.5), and \\( for a bracket itself.",
  );

const EMBEDDING = /^embedding:([^\s,:()[\]|<>]+)/;
const TAG = /^<(\w+):([^<>]+)>/;
const BREAK = /^BREAK(?![\p{L}\p{N}_])/u;

/**
 * The syntax of prompts of AUTOMATIC1111's web UI, with `embedding:name` as in ComfyUI:
 *
 *     (x) (x:1.3) [x]      weights: times 1.1, 1.3, divided by 1.1; nested ones multiply
 *     \( \) \[ \]          the brackets themselves
 *     [a:b:0.4] [b:5]      a up to 0.4 of the steps, then b; nothing up to step 5, then b
 *     [a|b]                a and b by turns
 *     BREAK                the rest begins a new chunk
 *     <lora:name:0.8>      a LoRA
 *
 * A bracket that is not closed reaches to the end; one that was not opened is a character like others.
 * @param what the text's name in messages
 * @throws UserError prompt/weight, prompt/schedule, prompt/tag, prompt/nesting
 * @see AUTOMATIC1111/stable-diffusion-webui 82a973c modules/prompt_parser.py parse_prompt_attention, schedule_parser
 */
export function parsePrompt(prompt: string, what = "prompt"): PromptTree {
  const open: Open[] = [{ bracket: "", nodes: [], at: 0 }];
  const tags: PromptTag[] = [];
  const here = (): (PromptNode | Mark)[] => open.at(-1)!.nodes;
  const text = (more: string): void => {
    const last = here().at(-1);
    if (last?.kind === "text") here()[here().length - 1] = { kind: "text", text: last.text + more };
    else here().push({ kind: "text", text: more });
  };
  const close = (meaning: (nodes: readonly (PromptNode | Mark)[]) => readonly PromptNode[]): void => {
    const { nodes } = open.pop()!;
    here().push(...meaning(nodes));
  };
  for (let at = 0; at < prompt.length; ) {
    const rest = prompt.slice(at, at + 500);
    const c = prompt[at]!;
    const startsWord = at === 0 || !/[\p{L}\p{N}_]/u.test(prompt[at - 1]!);
    const embedding = startsWord ? EMBEDDING.exec(rest) : null;
    const tag = c === "<" ? TAG.exec(rest) : null;
    const written = embedding?.[0] ?? tag?.[0] ?? (startsWord ? BREAK.exec(rest)?.[0] : undefined);
    if (embedding !== null) here().push({ kind: "embedding", name: embedding[1]! });
    else if (tag !== null) tags.push(tagOf(tag, what));
    else if (written !== undefined) here().push({ kind: "break" });
    else if (c === "\\" && /^\\[()[\]\\]/.test(rest)) text(prompt[at + 1]!);
    else if (c === "(" || c === "[") {
      if (open.length > MOST_OPEN) throw tooDeep(what);
      open.push({ bracket: c, nodes: [], at });
    } else if (c === ")" && open.at(-1)!.bracket === "(") close((nodes) => [roundBracket(nodes as PromptNode[], what)]);
    else if (c === "]" && open.at(-1)!.bracket === "[") close((nodes) => squareBracket(nodes, what));
    else if ((c === ":" || c === "|") && open.at(-1)!.bracket === "[") here().push({ kind: "mark", mark: c });
    else text(c);
    at += written?.length ?? (c === "\\" && /^\\[()[\]\\]/.test(rest) ? 2 : 1);
  }
  const notices: Notice[] = [];
  if (open.length > 1)
    notices.push({
      code: "prompt/bracket-open",
      message: `The ${what} has a "${open[1]!.bracket}" that is not closed, so it weighs all that follows: "${shortened(prompt.slice(open[1]!.at))}". Write \\${open[1]!.bracket} for the character itself.`,
    });
  while (open.length > 1) {
    const { bracket, nodes } = open.pop()!;
    const weight = bracket === "(" ? BRACKET_WEIGHT : 1 / BRACKET_WEIGHT;
    here().push({ kind: "weighted", weight, nodes: withoutMarks(nodes) });
  }
  const nodes = withoutMarks(open[0]!.nodes);
  return { nodes, tags, notices: [...notices, ...extremeNotices(nodes, what), ...foreignNotices(prompt, what)] };
}

function roundBracket(nodes: readonly PromptNode[], what: string): PromptNode {
  const last = nodes.at(-1);
  const [tail, number] = (last?.kind === "text" && /:\s*([+-]?[\d.,]*\d[\d.,]*)\s*$/.exec(last.text)) || [];
  if (last?.kind !== "text" || tail === undefined || number === undefined)
    return { kind: "weighted", weight: BRACKET_WEIGHT, nodes };
  const weight = Number(number);
  if (!Number.isFinite(weight))
    throw new UserError(
      "prompt/weight",
      `The ${what} has the weight "${number}", which is no number.`,
      'Write it with a point, as in "(word:1.2)", or \\( and \\) for the brackets themselves.',
    );
  const before = last.text.slice(0, -tail.length);
  return {
    kind: "weighted",
    weight,
    nodes: [...nodes.slice(0, -1), ...(before === "" ? [] : [{ kind: "text", text: before } as const])],
  };
}

function squareBracket(nodes: readonly (PromptNode | Mark)[], what: string): readonly PromptNode[] {
  const parts = split(nodes, ":");
  const turns = split(nodes, "|");
  const when = parts.length > 1 ? whenOf(parts.at(-1)!, what) : undefined;
  if (when === undefined && turns.length === 1)
    return [{ kind: "weighted", weight: 1 / BRACKET_WEIGHT, nodes: withoutMarks(nodes) }];
  if (when === undefined) return [{ kind: "alternate", turns: turns.map(withoutMarks) }];
  if (parts.length > 3 || turns.length > 1)
    throw new UserError(
      "prompt/schedule",
      `The ${what} has square brackets that are neither one schedule nor texts by turns: [${shortened(written(nodes))}].`,
      "Write [before:after:0.4] for one text up to 0.4 of the steps and then another, or [this|that] for both by turns; one may be put into the other.",
    );
  const [before, after] = parts.length === 3 ? [parts[0]!, parts[1]!] : [[], parts[0]!];
  return [{ kind: "schedule", before: withoutMarks(before), after: withoutMarks(after), when }];
}

/** What stands between marks. */
function split(nodes: readonly (PromptNode | Mark)[], mark: ":" | "|"): (PromptNode | Mark)[][] {
  const parts: (PromptNode | Mark)[][] = [[]];
  for (const node of nodes)
    if (node.kind === "mark" && node.mark === mark) parts.push([]);
    else parts.at(-1)!.push(node);
  return parts;
}

/** A number with a point is a share of the steps, one without a number of them; undefined if it is none. */
function whenOf(nodes: readonly (PromptNode | Mark)[], what: string): When | undefined {
  if (nodes.length !== 1 || nodes[0]!.kind !== "text") return undefined;
  const text = nodes[0]!.text.trim();
  if (!/^[+-]?[\d.,]*\d[\d.,]*$/.test(text)) return undefined;
  const value = Number(text);
  const share = text.includes(".");
  if (!Number.isFinite(value) || value < 0 || (share && value > 1))
    throw new UserError(
      "prompt/schedule",
      `The ${what} has a schedule that changes at "${text}", which is neither a share from 0.0 to 1.0 nor a number of steps.`,
      "Write [before:after:0.4] for 0.4 of the steps, or [before:after:8] for eight steps.",
    );
  return share ? { share: value } : { step: value };
}

const withoutMarks = (nodes: readonly (PromptNode | Mark)[]): PromptNode[] => {
  const out: PromptNode[] = [];
  for (const node of nodes) {
    const last = out.at(-1);
    const plain: PromptNode = node.kind === "mark" ? { kind: "text", text: node.mark } : node;
    if (plain.kind === "text" && last?.kind === "text") out[out.length - 1] = { kind: "text", text: last.text + plain.text };
    else out.push(plain);
  }
  return out;
};

const written = (nodes: readonly (PromptNode | Mark)[]): string =>
  nodes.map((node) => (node.kind === "mark" ? node.mark : node.kind === "text" ? node.text : "…")).join("");

/**
 * Reads a tag: `<lora:name:0.8>`, or `<lora:name:unet=0.8>`; of several strengths (`<lora:name:0.8:0.6>`, `te=0.8`) the first one is taken, or the
 * UNet's where it is named, and the other said.
 * @see AUTOMATIC1111/stable-diffusion-webui 82a973c extensions-builtin/Lora/extra_networks_lora.py; hako-mikan/sd-webui-lora-block-weight README
 */
function tagOf([whole, kind, content]: RegExpExecArray, what: string): PromptTag {
  const [name, ...parts] = content!.split(":").map((part) => part.trim());
  const numberIn = (part: string): number => (part === "" ? Number.NaN : Number(part));
  const places = parts.filter((part) => !part.includes("="));
  const given = new Map(parts.filter((part) => part.includes("=")).map((part) => part.split("=", 2) as [string, string]));
  const blocks = given.get("lbw")?.split(",").map(numberIn);
  const areNumbers = blocks?.every(Number.isFinite) === true;
  const strength = given.get("unet") ?? places[0] ?? given.get("te") ?? "1";
  const weight = numberIn(strength);
  if (name === "" || !Number.isFinite(weight))
    throw new UserError("prompt/tag", `The ${what} has the tag ${whole}, which cannot be read.`, "Write <lora:name:0.8>.");
  const isSame = (part: string): boolean => numberIn(part) === weight;
  const rest = [
    ...places.filter((part, i) => (i === 0 ? given.has("unet") : true) && !isSame(part)),
    ...[...given]
      .filter(([key, value]) => !((key === "te" || key === "unet") && isSame(value)) && !(key === "lbw" && areNumbers))
      .map((pair) => pair.join("=")),
  ];
  return { ...{ kind: kind!.toLowerCase(), name: name!, weight, rest, written: whole }, ...(areNumbers && { blocks }) };
}

function extremeNotices(nodes: readonly PromptNode[], what: string): Notice[] {
  const extreme: number[] = [];
  const isExtreme = (weight: number): boolean => weight > 2 || weight < 0;
  const look = (list: readonly PromptNode[], around: number): void => {
    for (const node of list) {
      if (node.kind === "weighted") {
        const weight = around * node.weight;
        if (isExtreme(weight) && node.nodes.some(({ kind }) => kind !== "weighted")) extreme.push(Number(weight.toFixed(2)));
        look(node.nodes, weight);
      }
      if (node.kind === "schedule") for (const part of [node.before, node.after]) look(part, around);
      if (node.kind === "alternate") for (const turn of node.turns) look(turn, around);
    }
  };
  look(nodes, 1);
  if (extreme.length === 0) return [];
  const message = `The ${what} has the weight ${extreme.join(", ")}; 0.5 to 1.5 is usual. If a number in brackets is no weight, write \\( and \\).`;
  return [{ code: "prompt/weight-extreme", message }];
}

/** What other programs would read otherwise than it is read here. */
const FOREIGN: readonly (readonly [RegExp, string])[] = [
  [/(?<![\p{L}\p{N}_])AND(?![\p{L}\p{N}_])/u, "AND is a word like others here: prompts are not composed"],
  [
    /\)[+-]+|\)\d*\.\d+|\)\.(blend|and|swap)\(/,
    "(…)+, (…)1.3, .blend() and .and() are InvokeAI's: write (words:1.3) for a weight",
  ],
  [/[\p{L}\p{N}](\+{1,}|-{2,})(?=[\s,.;)]|$)/u, 'plus and minus signs behind a word are no weights: write "(word:1.1)"'],
  [/\{[^{}|]+\}/, 'curly brackets are no weights: write "(word:1.05)"'],
];

function foreignNotices(prompt: string, what: string): Notice[] {
  return FOREIGN.flatMap(([pattern, meaning]) => {
    const [found] = pattern.exec(prompt) ?? [];
    return found === undefined
      ? []
      : [{ code: "prompt/as-words", message: `In the ${what}, "${found}" is taken as plain words: ${meaning}.` }];
  });
}

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 59)}…` : text);
