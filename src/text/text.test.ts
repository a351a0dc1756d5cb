import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { goldenJson } from "../testing/tensors.ts";
import { createTokenizer } from "./tokenizer.ts";
import { readTokenizerFolder, sdxlTokenizer } from "./tokenizer-folder.node.ts";
import { expandTrigger, refuseTriggerInNegative, repeatClassWord } from "./trigger.ts";
import { encodePlain, padTo, truncate } from "./window.ts";

const one = sdxlTokenizer("tokenizer");
const two = (await readTokenizerFolder(goldenPath("tiny-sdxl", "tokenizer_2"))).tokenizer;
const windowOf = (pad: number) => ({ length: 77, pad });
const w1 = windowOf(one.pad);
const w2 = windowOf(two.pad);

describe("ids are those of the Python CLIPTokenizer", () => {
  const { cases, bos, eos, pad } = goldenJson("tokens", "tokenizer.json");
  test("begin, end and pad", () => expect([one.begin, one.end, [one.pad, two.pad]]).toEqual([bos, eos, pad]));
  test.each(
    cases as {
      prompt: string;
      ids_untruncated: number[];
      ids77_tokenizer: number[];
      ids77_tokenizer_2: number[];
      decoded: string;
    }[],
  )("$prompt", ({ prompt, ids_untruncated, ids77_tokenizer, ids77_tokenizer_2, decoded }) => {
    expect(one.encode(prompt)).toEqual(ids_untruncated);
    expect(encodePlain(one, prompt, w1, "prompt").ids).toEqual(ids77_tokenizer);
    expect(encodePlain(two, prompt, w2, "prompt").ids).toEqual(ids77_tokenizer_2);
    expect(one.decode(ids_untruncated.slice(1, -1))).toBe(decoded);
  });
});

interface TriggerCase {
  readonly prompt: string;
  readonly num_id_images: number;
  readonly num_tokens: 1 | 2;
  readonly prompt_text_only?: string;
  readonly ids_1?: number[];
  readonly ids_2?: number[];
  readonly mask_positions?: number[];
  readonly error?: unknown;
}

describe("the trigger word is expanded as in the official code", () => {
  const { cases } = goldenJson("tokens", "trigger.json") as { cases: TriggerCase[] };
  test.each(cases)("$prompt, $num_id_images photos of $num_tokens tokens", (c) => {
    const repeats = c.num_id_images * c.num_tokens;
    const options = { trigger: "img", repeats, everyToken: c.num_tokens === 2 };
    const run = () => expandTrigger(one, c.prompt, { ...options, window: w1 });
    if (c.ids_1 === undefined) {
      expect(run).toThrow(expect.objectContaining({ code: expect.stringMatching(/^prompt\//) }));
      return;
    }
    for (const [tokenizer, window, ids] of [
      [one, w1, c.ids_1],
      [two, w2, c.ids_2!],
    ] as const) {
      const { tokenizer: knowing, id } = tokenizer.withToken("img");
      const raw = repeatClassWord(truncate(knowing.encode(c.prompt), 77), id, repeats, 77);
      expect(padTo(raw.ids, window)).toEqual(ids);
      expect(raw.positions).toEqual(c.mask_positions);
    }
    if (c.prompt.startsWith("img")) {
      expect(run).toThrow(expect.objectContaining({ code: "prompt/class-missing" })); // the reference repeats the begin token
      return;
    }
    if (c.mask_positions!.length < repeats && c.num_tokens === 2) {
      expect(run).toThrow(expect.objectContaining({ code: "prompt/class-cut" }));
      return;
    }
    const { ids, classPositions, textOnly } = run();
    expect(ids).toEqual(c.ids_1);
    expect(classPositions).toEqual(c.mask_positions);
    if (c.prompt_text_only !== undefined) expect(textOnly).toBe(c.prompt_text_only);
    expect(expandTrigger(two, c.prompt, { ...options, window: w2 }).ids).toEqual(c.ids_2);
  });
});

const expand = (prompt: string, repeats = 1, trigger = "img") =>
  expandTrigger(one, prompt, { trigger, repeats, window: w1, everyToken: true });
const words = (n: number): string => Array(n).fill("word").join(" ");

test.each([
  ["", "prompt/trigger-missing"],
  ["a photo of a man", "prompt/trigger-missing"],
  ["a photo of a man IMG", "prompt/trigger-missing"],
  ["a man img and a woman img", "prompt/trigger-repeated"],
  ["img of a man", "prompt/class-missing"],
  [`${words(80)} man img`, "prompt/trigger-cut"],
  [`${words(73)} man img`, "prompt/class-cut"],
])("%s is refused: %s", (prompt, code) => {
  expect(() => expand(prompt, 4)).toThrow(expect.objectContaining({ code }));
});

test.each(["IMG", "Img", "<img>", "[img]", "{img}", "<IMG>"])(
  "the trigger word as %s is not taken, and the hint says so",
  (spelling) => {
    expect(() => expand(`a photo of a man ${spelling}, smiling`)).toThrow(
      expect.objectContaining({
        code: "prompt/trigger-missing",
        message: expect.stringContaining(`has "${spelling}", and the trigger word is "img", in exactly these letters`),
        remedy: `Write "img" instead of "${spelling}": capitals and brackets count.`,
      }),
    );
  },
);

test("what only looks like the trigger word brings no hint, and beside it is no matter", () => {
  expect(() => expand("a photo of a man IMGUR")).toThrow(
    expect.objectContaining({ remedy: expect.stringMatching(/^Put "img"/) }),
  );
  expect(expand("a man img, IMG").notices).toEqual([]);
});

test("more photos than fit: how many do, and no class words as lost words", () => {
  const told = (repeats: number, tokensPerPhoto: number | undefined) =>
    expandTrigger(one, `${words(20)} boy img in the snow`, {
      ...{ trigger: "img", repeats, window: w1, everyToken: false, tokensPerPhoto },
    }).notices.filter(({ code }) => code !== "prompt/end-cut");
  const message = (rest: string) => ({ code: "prompt/class-cut", message: rest });
  const lost = { code: "prompt/cut", message: expect.stringContaining('These words are lost: "in the snow".') };
  // 77 places, of which the begin and 20 words come first; the end and three words would follow
  expect(told(60, 1)).toEqual([
    message(
      "4 of 60 ID tokens do not fit: there is room for 56 photos from the class word of the prompt on, and for 52 photos with all of its words.",
    ),
    lost,
  ]);
  expect(told(60, 2)[0]!.message).toContain("room for 28 photos from the class word of the prompt on, and for 26 photos");
  expect(told(60, undefined)[0]!.message).toContain(
    "room for 56 ID tokens from the class word of the prompt on, and for 52 ID tokens",
  );
  expect(told(52, 1)).toEqual([]);
  expect(told(53, 1)).toHaveLength(0); // the end mark alone
  expect(told(54, 1)).toEqual([{ ...lost, message: expect.stringContaining('"snow"') }]);
});

test("with V2 every token needs its place: the refusal says how many photos have", () => {
  const run = () =>
    expandTrigger(one, "a boy img", { trigger: "img", repeats: 80, tokensPerPhoto: 2, window: w1, everyToken: true });
  expect(run).toThrow(
    expect.objectContaining({ code: "prompt/class-cut", remedy: expect.stringContaining("no more than 37 photos") }),
  );
});

test("another trigger word works like the usual one", () => {
  expect(expand("a man sks, smiling", 2, "sks")).toEqual(expand("a man img, smiling", 2));
  expect(() => expand("a man img", 1, "sks")).toThrow(expect.objectContaining({ code: "prompt/trigger-missing" }));
});

test("a class word of several tokens works, and is warned about", () => {
  const { notices, classPositions } = expand("a photo of a firefighteress img");
  expect(notices.map((n) => n.code)).toEqual(["prompt/class-several-tokens"]);
  expect(classPositions).toHaveLength(1);
});

test("text that does not fit is reported, with the words that are lost", () => {
  const { notices } = encodePlain(one, `${words(75)} lost in space`, w1, "negative prompt");
  expect(notices).toEqual([{ code: "prompt/cut", message: expect.stringContaining('"lost in space"') }]);
  expect(
    expand(`a man img ${words(73)} late`, 2)
      .notices.map((n) => n.message)
      .join(),
  ).toContain('word late"');
  expect(expand(`a man img ${words(70)} kept late`, 1).notices).toEqual([]);
  expect(expand(`a man img ${words(72)}`, 3).notices.map((n) => n.code)).toEqual(["prompt/end-cut"]);
  expect(expand("a man img", 4).notices).toEqual([]);
});

test("the trigger word in the negative prompt is refused", () => {
  expect(() => refuseTriggerInNegative(one, "ugly img", "img")).toThrow(
    expect.objectContaining({ code: "prompt/trigger-in-negative" }),
  );
  expect(() => refuseTriggerInNegative(one, "ugly", "img")).not.toThrow();
});

test("decoded text encodes to the same ids", () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z]{1,9}[,.]?$/), { maxLength: 12 }), (list) => {
      const ids = one.encode(list.join(" "));
      expect(one.encode(one.decode(ids.slice(1, -1)))).toEqual(ids);
    }),
  );
});

test("any text fills the window exactly, and any prompt with a trigger has room for its tokens", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), fc.integer({ min: 1, max: 8 }), (text, repeats) => {
      expect(encodePlain(two, text, w2, "prompt").ids).toHaveLength(77);
      const { ids, classPositions } = expandTrigger(one, `man img ${text.replaceAll("img", "")}`, {
        trigger: "img",
        repeats,
        window: w1,
        everyToken: true,
      });
      expect(ids).toHaveLength(77);
      expect(classPositions).toHaveLength(repeats);
    }),
  );
});

describe("a tokenizer folder", async () => {
  const folder = await mkdtemp(join(tmpdir(), "photomaker-"));
  test("with a small vocabulary of its own is used as it is", async () => {
    const vocabulary = { "<s>": 0, "a</w>": 1, m: 2, "an</w>": 3, "man</w>": 4, a: 5, "n</w>": 6, "<e>": 7 };
    await writeFile(join(folder, "vocab.json"), JSON.stringify(vocabulary));
    await writeFile(join(folder, "merges.txt"), "#version: 0.2\na n</w>\nm an</w>\n");
    const names = { bos_token: "<s>", eos_token: "<e>", pad_token: "<e>", unk_token: "<e>", model_max_length: 8 };
    await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify(names));
    const { tokenizer } = await readTokenizerFolder(folder);
    expect(tokenizer.encode("A man")).toEqual([0, 1, 4, 7]);
    expect(tokenizer.encode("zzz")).toEqual([0, 7, 7, 7, 7]);
    expect(tokenizer.maxLength).toBe(8);
  });
  test("without a vocabulary has CLIP's own, with a notice", async () => {
    const none = await mkdtemp(join(tmpdir(), "photomaker-"));
    await writeFile(join(none, "tokenizer_config.json"), "{}");
    const { tokenizer, notices } = await readTokenizerFolder(none);
    expect(tokenizer.encode("man")).toEqual([49406, 786, 49407]);
    expect(notices.map(({ code }) => code)).toEqual(["tokenizer/embedded"]);
    await rm(none, { recursive: true });
  });
  test("that lacks a file is refused by name", async () => {
    await rm(join(folder, "merges.txt"));
    await expect(readTokenizerFolder(folder)).rejects.toMatchObject({
      code: "tokenizer/incomplete",
      message: expect.stringContaining("merges.txt"),
    });
    await writeFile(join(folder, "tokenizer_config.json"), "{");
    await expect(readTokenizerFolder(folder)).rejects.toMatchObject({ code: "tokenizer/unreadable" });
    await rm(folder, { recursive: true });
  });
});

test("a tokenizer of another kind is refused with what it lacks", () => {
  const files = { merges: "#version: 0.2\n", vocabulary: { a: 0 } };
  const refused = (code: string, message: RegExp) => expect.objectContaining({ code, message: expect.stringMatching(message) });
  expect(() => createTokenizer({ ...files, config: { model_max_length: "many" } })).toThrow(
    refused("tokenizer/config", /model_max_length/),
  );
  expect(() => createTokenizer({ ...files, config: {} })).toThrow(refused("tokenizer/vocabulary", /has no "<\|/));
});
