import { afterAll, describe, expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { goldenJson, goldenTensors } from "../../testing/tensors.ts";
import { silent } from "../../testing/tiny-model.ts";
import { openModel } from "../../weights/index.ts";
import { EncodingCache } from "../encoding-cache.ts";
import { textGraph } from "../graphs.ts";
import { LazySession } from "../lazy-session.ts";
import { openRuntimes } from "../runtimes.node.ts";
import { readPrompts } from "./prompts.ts";
import { readersOf } from "./readers.node.ts";
import { encodeText, type TextEncoder } from "./text-stage.ts";

// Values of reference/prompts.py, which reads and weighs prompts over transformers' CLIP.

const golden = await goldenTensors("prompts", "prompts.safetensors");
const { cases } = goldenJson("prompts", "prompts.json") as {
  cases: { readonly name: string; readonly prompt: string; readonly chunks: number[] }[];
};
const runtimes = openRuntimes({ device: "cpu" });
afterAll(() => Promise.all(runtimes.map((runtime) => runtime.close())));
await runtimes[0].open({ half: false });
const model = await openModel(goldenPath("tiny-sdxl"));

const encodersWith = (takesVectors: boolean): readonly [TextEncoder, TextEncoder] => {
  const encoder = (name: "text_encoder" | "text_encoder_2"): TextEncoder => {
    const graph = textGraph(model, name, new Map(), takesVectors);
    return { graph, session: new LazySession(runtimes[0], name, graph.unfinished.outputs), changes: 0 };
  };
  return [encoder("text_encoder"), encoder("text_encoder_2")];
};
const [bare, able] = [encodersWith(false), encodersWith(true)];
const { readers } = await readersOf(model, [bare[0].graph.config, bare[1].graph.config]);
const rows = async (name: string) => {
  const { data, dims } = await golden.floats(name);
  return Array.from({ length: dims[0]! }, (_, i) => data.slice(i * dims[1]!, (i + 1) * dims[1]!));
};
const style = { count: 2, vectors: [await rows("clip_l"), await rows("clip_g")] } as const;
const read = (prompt: string) => readPrompts(readers, { prompt }, undefined, true, { embeddings: new Map([["style", style]]) });

describe("weights and chunks are those of the reference", () => {
  test.each(cases)("$name", async ({ name, prompt, chunks }) => {
    const ids = read(prompt);
    expect(ids.chunks).toBe(chunks.length);
    const { context, pooled } = await encodeText(able, ids.text, 0, new EncodingCache(0), silent);
    expect(context.dims).toEqual([77 * chunks.length, 40]);
    expect(context.data).toMatchGolden((await golden.floats(`${name}.context`)).data, 1e-5);
    expect(pooled.data).toMatchGolden((await golden.floats(`${name}.pooled`)).data, 1e-5);
  });
});

test("a graph that takes vectors gives the same bits where none are given", async () => {
  for (const prompt of ["a cat", "a (cat:1.3) BREAK by the sea"]) {
    const [one, two] = await Promise.all(
      [bare, able].map((encoders) => encodeText(encoders, read(prompt).text, 0, new EncodingCache(0), silent)),
    );
    expect(one).toEqual(two);
  }
});

test("the cache tells vectors apart", async () => {
  const cache = new EncodingCache(2 ** 20);
  const other = { count: 2, vectors: [style.vectors[0].toReversed(), style.vectors[1].toReversed()] } as const;
  const embeddings = new Map([
    ["a", style],
    ["b", other],
  ]);
  const encoded = async (name: string) => {
    const { text } = readPrompts(readers, { prompt: `embedding:${name}` }, undefined, true, { embeddings });
    return (await encodeText(able, text, 0, cache, silent)).context.data;
  };
  expect(await encoded("a")).not.toEqual(await encoded("b"));
  expect(await encoded("a")).toEqual(await encoded("a"));
});

test("what is wrong with a text is told once, where both encoders have the same", () => {
  const long = "many words of a long text ".repeat(20);
  const of = (texts: object, syntax: "a1111" | "none") =>
    readPrompts(readers, { prompt: "a cat", ...texts }, undefined, true, { syntax }).notices.map(({ message }) => message);
  for (const negativePrompt2 of [undefined, long]) {
    expect(of({ negativePrompt: long, negativePrompt2 }, "none")).toEqual([expect.stringMatching(/ negative prompt/)]);
    expect(of({ negativePrompt: "(a:99)", negativePrompt2: negativePrompt2 && "(a:99)" }, "a1111")).toHaveLength(1);
    expect(of({ negativePrompt: "embedding:none", negativePrompt2: negativePrompt2 && "embedding:none" }, "a1111")).toHaveLength(
      1,
    );
  }
  const other = of({ negativePrompt: long, negativePrompt2: `other ${long}` }, "none");
  expect(other).toEqual([expect.not.stringContaining("second"), expect.stringContaining("second negative prompt")]);
});
