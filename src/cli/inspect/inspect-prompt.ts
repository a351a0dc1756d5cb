import type { Command } from "commander";
import type { Notice } from "../../core/notice.ts";
import type { PromptPhase } from "../../sessions/text/prompts.ts";
import { wholeNumber } from "../terminal/flag-values.ts";
import type { CliIo } from "../terminal/io.ts";

const HELP = `
Weights are those of A1111's web UI: (word) 1.1, (word:1.3) 1.3, [word] 1/1.1; \\( and \\) are brackets themselves.
Texts of more than 75 tokens are read in chunks of 75; BREAK begins a new one. The person stands in the first.

Examples:
  photomaker inspect-prompt "a photo of a (woman img:1.2), (smile:0.8), by the sea" -i 4
  photomaker inspect-prompt "a [cat:dog:0.5]" -n "(blurry:1.3)" -m sdxl.safetensors --steps 30 --json
`;

interface Values {
  readonly negativePrompt?: string;
  readonly model?: string;
  readonly idImage?: readonly string[];
  readonly tokensPerPhoto: string;
  readonly triggerWord: string;
  readonly embeddings?: readonly string[];
  readonly wildcards?: string;
  readonly seed: string;
  readonly steps: string;
  readonly json?: boolean;
}

export interface InspectedToken {
  /** In the whole text, with begin and end of each chunk. */
  readonly position: number;
  readonly id: number;
  readonly text: string;
  readonly weight: number;
  /** Whether the person is put here. */
  readonly person?: true;
}

export interface InspectedText {
  readonly what: "prompt" | "negative prompt";
  /** Counted from 0: from this step on it is what is said. */
  readonly fromStep: number;
  /** Tokens of each chunk, without begin, end and padding. */
  readonly chunks: readonly (readonly InspectedToken[])[];
}

export interface InspectedPrompt {
  readonly prompt: string;
  /** With the choices of wildcards made, where it has any. */
  readonly became?: string;
  readonly texts: readonly InspectedText[];
  /** Tags such as <lora:name:0.8>. */
  readonly tags: readonly string[];
  readonly notices: readonly Notice[];
}

export function addInspectPrompt(program: Command, io: CliIo): void {
  program
    .command("inspect-prompt")
    .summary("show how a prompt is read")
    .description("Shows how a prompt is read: its tokens, their weights, its chunks, and where the person stands.")
    .argument("<prompt>", "as for generate")
    .option("-n, --negative-prompt <text>", "a negative prompt beside it")
    .option("-m, --model <path>", "a model, for its own tokenizers (default: SDXL's)")
    .option(
      "-i, --id-image <count...>",
      "how many photos of the person there are, or their files (default: 1, if the trigger word is there)",
    )
    .option("--tokens-per-photo <count>", "1 for a V1 adapter, 2 for V2", "1")
    .option("--trigger-word <word>", "the word that marks the person", "img")
    .option("--embeddings <paths...>", "textual inversions: files, or folders of them")
    .option("--wildcards <folder>", "lists for __name__")
    .option("--seed <number>", "chooses lines of wildcards", "0")
    .option("-s, --steps <count>", "denoising steps, for schedules", "50")
    .option("--json", "print it as JSON")
    .addHelpText("after", HELP)
    .action(async (prompt: string, values: Values) => {
      const inspected = await inspectPrompt(prompt, values);
      io.stdout.write(values.json ? `${JSON.stringify(inspected, undefined, 2)}\n` : inspectedText(inspected));
    });
}

/**
 * How a prompt is read.
 * @throws UserError those of readPrompts, chooseTexts, openModel, openEmbeddings and parseGenerateRequest
 */
async function inspectPrompt(prompt: string, values: Values): Promise<InspectedPrompt> {
  const { parseGenerateRequest } = await import("../../contract/request.ts");
  const { chooseTexts } = await import("../../pipeline/encode/choose-texts.ts");
  const { readPrompts } = await import("../../sessions/text/prompts.ts");
  const { readers, widths } = await readersFor(values.model);
  const { openEmbeddings } = await import("../../weights/open-embeddings.node.ts");
  const { embeddings, notices } = await openEmbeddings(values.embeddings ?? [], widths);
  const request = parseGenerateRequest({
    prompt,
    negativePrompt: values.negativePrompt,
    wildcards: values.wildcards,
    numInferenceSteps: wholeNumber(values.steps, "--steps", 1, 1000),
    seed: values.seed,
  });
  const steps = request.numInferenceSteps!;
  const chosen = await chooseTexts(request, BigInt(request.seed!));
  const given = values.idImage ?? [];
  const photos = given.length === 1 && /^\d+$/.test(given[0]!) ? Number(given[0]) : given.length;
  const hasTrigger = readers[0].tokenizer.withToken(values.triggerWord);
  const there = hasTrigger.tokenizer
    .words((chosen?.prompt ?? prompt).replace(/[()[\]]/g, " "))
    .flat()
    .includes(hasTrigger.id);
  const perPhoto = wholeNumber(values.tokensPerPhoto, "--tokens-per-photo", 1, 64);
  const identity =
    photos > 0 || there
      ? {
          trigger: values.triggerWord,
          repeats: Math.max(1, photos) * perPhoto,
          everyToken: perPhoto > 1,
          tokensPerPhoto: perPhoto,
        }
      : undefined;
  const ids = readPrompts(readers, { ...request, ...chosen }, identity, true, { steps, embeddings });
  const names = [...embeddings].flatMap(([name, { vectors }]) =>
    vectors.flatMap((rows) => rows?.map((row) => [row, name] as const) ?? []),
  );
  const nameOf = new Map(names);
  const textsOf = (phase: PromptPhase, fromStep: number): InspectedText[] => {
    const both = [
      { what: "prompt" as const, ids: phase.identity?.ids ?? phase.text, places: new Set(phase.identity?.places) },
      ...(phase.negative === undefined
        ? []
        : [{ what: "negative prompt" as const, ids: phase.negative, places: new Set<number>() }]),
    ];
    const { tokenizer, window } = readers[0];
    return both.map(({ what, ids: { first, weights, vectors }, places }) => {
      const chunks = Array.from({ length: first.length / window.length }, (_, chunk): InspectedToken[] => {
        const from = chunk * window.length;
        const end = first.indexOf(tokenizer.end, from + 1);
        const until = end < 0 || end >= from + window.length ? from + window.length : end;
        return Array.from({ length: until - from - 1 }, (_, i) => {
          const position = from + 1 + i;
          const vector = vectors?.first.get(position) ?? vectors?.second.get(position);
          const text = vector === undefined ? tokenizer.decode([first[position]!]) : `embedding:${nameOf.get(vector)}`;
          const weight = Math.round((weights?.first[position] ?? 1) * 1e4) / 1e4;
          return { position, id: first[position]!, text, weight, ...(places.has(position) && { person: true as const }) };
        });
      });
      return { what, fromStep, chunks };
    });
  };
  return {
    prompt,
    ...(chosen?.prompt !== undefined && { became: chosen.prompt }),
    texts: [...textsOf(ids, 0), ...(ids.later ?? []).flatMap(({ from, phase }) => textsOf(phase, from))],
    tags: ids.tags.map(({ written }) => written),
    notices: [...notices, ...ids.notices],
  };
}

/** Tokenizers of a model, or SDXL's. */
async function readersFor(path: string | undefined) {
  if (path === undefined) {
    const { sdxlTokenizer } = await import("../../text/tokenizer-folder.node.ts");
    const [one, two] = [sdxlTokenizer("tokenizer"), sdxlTokenizer("tokenizer_2")];
    const readerOf = (tokenizer: typeof one) => ({ tokenizer, window: { length: 77, pad: tokenizer.pad } });
    return { readers: [readerOf(one), readerOf(two)] as const, widths: [768, 1280] as const };
  }
  const { openModel } = await import("../../weights/open-model.node.ts");
  const { clipTextConfig } = await import("../../models/clip-text-config.ts");
  const { readersOf } = await import("../../sessions/text/readers.node.ts");
  const model = await openModel(path, { fillsMasks: true });
  const settingsOf = (name: "text_encoder" | "text_encoder_2") =>
    clipTextConfig(model.components[name].config, model.components[name].tensors, name);
  const settings = [settingsOf("text_encoder"), settingsOf("text_encoder_2")] as const;
  const { readers } = await readersOf(model, settings);
  return { readers, widths: [settings[0].width, settings[1].width] as const };
}

/** For people: a line for each run of tokens of the same weight. */
function inspectedText({ became, texts, tags, notices }: InspectedPrompt): string {
  const lines: string[] = became === undefined ? [] : [`became: ${became}`];
  for (const { what, fromStep, chunks } of texts) {
    lines.push(`${what}${fromStep > 0 || texts.some((text) => text.fromStep > 0) ? `, from step ${fromStep}` : ""}`);
    for (const [i, chunk] of chunks.entries()) {
      lines.push(`  chunk ${i + 1}: ${chunk.length} tokens`);
      for (const run of runsOf(chunk)) {
        const words = run.map(({ text }) => text).join(" ");
        const person = run[0]!.person ? `  <- the person, ${run.length} token${run.length === 1 ? "" : "s"}` : "";
        lines.push(`    ${run[0]!.weight.toFixed(2)}  ${words}${person}`);
      }
    }
  }
  if (tags.length > 0) lines.push(`tags: ${tags.join(" ")}`);
  for (const { message } of notices) lines.push(`note: ${message}`);
  return `${lines.join("\n")}\n`;
}

function runsOf(tokens: readonly InspectedToken[]): InspectedToken[][] {
  const runs: InspectedToken[][] = [];
  for (const token of tokens) {
    const last = runs.at(-1)?.[0];
    if (last !== undefined && last.weight === token.weight && last.person === token.person) runs.at(-1)!.push(token);
    else runs.push([token]);
  }
  return runs;
}
