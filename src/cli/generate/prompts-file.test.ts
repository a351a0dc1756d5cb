import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generateOptions } from "./generate-options.ts";
import { readPromptsFile } from "./prompts-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "prompts-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function list(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  return join(folder, name);
}

test("a text has a prompt a line; JSON a line has options, too, which win over flags and are looked for beside the list", async () => {
  expect(await readPromptsFile(await list("a.txt", 'a cat, {x}\n\n "a" dog \r\n'))).toEqual([
    { line: 1, request: { prompt: "a cat, {x}" } },
    { line: 3, request: { prompt: '"a" dog' } },
  ]);
  await writeFile(join(folder, "me.png"), "");
  const prompts = await list(
    "a.jsonl",
    '"a man img"\n\n{"prompt": "b man img", "steps": 3, "id-image": ["me.png"], "seed": 18446744073709551615}\n',
  );
  const { requests, lines, load } = await generateOptions({
    model: "m",
    adapter: "a",
    idImage: ["x.png"],
    steps: "9",
    seed: "4",
    prompts,
  });
  expect(lines).toEqual([1, 3]);
  expect(requests).toMatchObject([
    { prompt: "a man img", numInferenceSteps: 9, inputIdImages: ["x.png"], seed: 4 },
    { prompt: "b man img", numInferenceSteps: 3, inputIdImages: [join(folder, "me.png")], seed: "18446744073709551615" },
  ]);
  expect(load.unloadAfterUse).toBe(false);
});

test.each([
  ["a.txt", "\n \n", "prompts/none", /has no prompt/],
  ["a.jsonl", '"a"\n{', "config/not-json", /line 2 of/],
  ["a.jsonl", '{"stepz": 1}', "config/unknown-key", /line 1 of/],
  ["a.jsonl", '{"prompt": "a", "model": "m"}', "prompts/not-a-request", /gives model/],
  ["a.jsonl", '{"prompt": "a", "out": "x"}', "prompts/not-a-request", /gives out/],
  ["a.jsonl", '{"prompt": "a"}\n{"prompt": "a", "steps": 0}', "steps/out-of-range", /--steps \(line 2 of .*is 0/],
  ["a.jsonl", '{"steps": 2}', "prompt/missing", /line 1 of/],
])("the list %s with %j is refused before anything is loaded: %s", async (name, text, code, message) => {
  const prompts = await list(name, text);
  await expect(generateOptions({ model: "m", prompts })).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

test("several prompts do not go into one file", async () => {
  const prompts = await list("two.txt", "a\nb\n");
  for (const more of [{ out: "x.png" }, { out: "-" }, { saveLatents: "l.safetensors" }])
    await expect(generateOptions({ model: "m", prompts, ...more })).rejects.toMatchObject({ code: "out/one-file" });
  await expect(generateOptions({ model: "m", prompts: join(folder, "none.txt") })).rejects.toMatchObject({
    code: "file/missing",
  });
});
