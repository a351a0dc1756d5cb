import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../core/random/seeded-random.ts";
import { personTokens } from "./person-tokens.ts";
import { type AtStep, piecesAt, switchesOf } from "./prompt-pieces.ts";
import { chunksOf, tokensOf, type WeightedToken, windowsOf } from "./prompt-tokens.ts";
import { parsePrompt } from "./prompt-tree.ts";
import { sdxlTokenizer } from "./tokenizer-folder.node.ts";
import { wildcardsIn } from "./wildcards.node.ts";
import { expandChoices, hasChoices } from "./wildcards.ts";
import { encodePlain } from "./window.ts";

const tokenizer = sdxlTokenizer("tokenizer");
const now: AtStep = { step: 0, steps: 10 };
/** Such as "a |red*1.3| cat". */
const shown = (prompt: string, at = now): string =>
  piecesAt(parsePrompt(prompt).nodes, at)
    .map(({ text, embedding, break: isBreak, weight }) => {
      const what = isBreak ? "BREAK" : (text ?? `<${embedding}>`);
      return weight === 1 ? what : `${what}*${Number(weight.toFixed(3))}`;
    })
    .join("|");
const code = (wanted: string) => expect.objectContaining({ code: wanted });
const codes = (prompt: string): string[] => parsePrompt(prompt).notices.map((notice) => notice.code);

describe("weights", () => {
  test.each([
    ["a cat", "a cat"],
    ["a (red:1.3) cat", "a |red*1.3| cat"],
    ["(cat) ((cat)) [cat] [[cat]]", "cat*1.1| |cat*1.21| |cat*0.909| |cat*0.826"],
    ["(a (b:2) c:0.5)", "a *0.5|b| c*0.5"],
    ["(a) (b)", "a*1.1| |b*1.1"],
    ["(a:1.1)(b)", "ab*1.1"],
    ["\\(a\\) \\[b\\] \\\\ c\\d", "(a) [b] \\ c\\d"],
    ["(word: 1.2 )", "word*1.2"],
    ["(a (b", "a *1.1|b*1.21"],
    ["a) b] :) :D", "a) b] :) :D"],
    ["(word:-0.5)", "word*-0.5"],
    ["()", ""],
    ["[see: here]", "see: here*0.909"],
    ["(embedding:Bad_Hands.pt:1.2), embedding:ok", "<Bad_Hands.pt>*1.2|, |<ok>"],
    ["a BREAK b, BREAKFAST", "a |BREAK| b, BREAKFAST"],
    ["a <lora:detail:0.8>cat", "a cat"],
    ["a < b > c <img>", "a < b > c <img>"],
  ])("%s", (prompt, pieces) => expect(shown(prompt)).toBe(pieces));

  test("what is no number is refused, and what is strange is said", () => {
    for (const wrong of ["(word:1,2)", "(word:1.2.3)", "(word:.5.)"])
      expect(() => parsePrompt(wrong)).toThrow(code("prompt/weight"));
    expect(codes("(aspect 16:9)")).toEqual(["prompt/weight-extreme"]);
    expect(codes("[a|(b:3)] (c:-1)")).toEqual(["prompt/weight-extreme"]);
    expect(codes("a (cat")).toEqual(["prompt/bracket-open"]);
    expect(codes("a (cat:1.2), [dog], embedding:x BREAK y :)")).toEqual([]);
  });

  test.each(["a cat AND a dog", "(a cat)++", "(a cat)1.3", '("a", "b").blend(1, 1)', "cat++, dog", "{cat}, dog"])(
    "%s: syntax of other programs is said to be words",
    (prompt) => expect(codes(prompt)).toContain("prompt/as-words"),
  );

  test("no text makes the parser fail but by its codes, and none without syntax is changed", () => {
    const signs = fc.stringMatching(/^[ab:|()[\]\\.,<>0-9 _{}-]{0,40}$/);
    fc.assert(
      fc.property(signs, (prompt) => {
        try {
          piecesAt(parsePrompt(prompt).nodes, now);
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^prompt\/(weight|schedule|tag)$/);
        }
      }),
    );
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z ,.!?:;'"-]{1,60}$/), (prompt) => {
        fc.pre(!prompt.includes("embedding:"));
        expect(shown(prompt)).toBe(prompt);
      }),
    );
  });
});

describe("schedules", () => {
  const over = (prompt: string, steps = 10): string[] =>
    Array.from({ length: steps }, (_, step) => shown(prompt, { step, steps }));
  const twice = (n: number, a: string, b: string, steps = 10): string[] =>
    Array.from({ length: steps }, (_, i) => (i < n ? a : b));

  test("a text changes at a share of the steps, or at a number of them", () => {
    expect(over("[cat:dog:0.4]")).toEqual(twice(4, "cat", "dog"));
    expect(over("[cat:dog:3]")).toEqual(twice(3, "cat", "dog"));
    expect(over("[cat:dog:0.33]")).toEqual(twice(3, "cat", "dog"));
    expect(over("[cat:dog:1.0]")).toEqual(twice(10, "cat", "dog"));
    expect(over("[cat:dog:1]")).toEqual(twice(1, "cat", "dog"));
    expect(over("a [hat:0.5]")).toEqual(twice(5, "a ", "a |hat"));
    expect(over("[hat::0.5]")).toEqual(twice(5, "hat", ""));
    expect(over("([a:(b:1.5):0.5]:2)")).toEqual(twice(5, "a*2", "b*3"));
    expect(over("[a:[b:c:0.8]:0.5]")).toEqual([...twice(5, "a", "b", 8), "c", "c"]);
  });
  test("texts take turns", () => {
    expect(over("[a|b|c]", 4)).toEqual(["a", "b", "c", "a"]);
    expect(switchesOf(parsePrompt("[a|b]").nodes, 4)).toEqual([1, 2, 3]);
    expect(switchesOf(parsePrompt("[a:b:0.5]").nodes, 4)).toEqual([2]);
    expect(switchesOf(parsePrompt("a [b] c").nodes, 4)).toEqual([]);
  });
  test.each(["[a:b:c:0.5]", "[a|b:c:0.5]", "[a:b:1.5]", "[a:b:-1]", "[a:b:0.5.5]", "[a:b:0,5]"])("%s is refused", (prompt) => {
    expect(() => parsePrompt(prompt)).toThrow(code("prompt/schedule"));
  });
});

test("tags are read and leave no words", () => {
  const { tags, nodes } = parsePrompt("a cat <lora:sub/detail:0.8>, <lyco:x>, <lora:y:1:0.5>");
  expect(tags.map(({ kind, name, weight }) => [kind, name, weight])).toEqual([
    ["lora", "sub/detail", 0.8],
    ["lyco", "x", 1],
    ["lora", "y", 1],
  ]);
  expect(nodes).toEqual([{ kind: "text", text: "a cat , , " }]);
  for (const wrong of ["<lora:x:much>", "<lora::1>", "<lora:x:>"]) expect(() => parsePrompt(wrong)).toThrow(code("prompt/tag"));
});

const tokens = (prompt: string) =>
  tokensOf(piecesAt(parsePrompt(prompt).nodes, now), { tokenizer, which: 0, embeddings, what: "prompt" });
const embeddings = new Map([
  ["style", { count: 3, vectors: [[1, 2, 3].map((v) => Float32Array.of(v)), undefined] as const }],
  ["huge", { count: 80, vectors: [Array.from({ length: 80 }, () => Float32Array.of(0)), undefined] as const }],
]);
const comma = tokenizer.words(",").flat()[0];
const chunked = (prompt: string, firstAtLeast = 0): WeightedToken[][] =>
  chunksOf(tokens(prompt).tokens, { length: 75, comma, firstAtLeast });
const words = (n: number, word = "word"): string => Array(n).fill(word).join(" ");

describe("chunks", () => {
  test("a text without syntax that fits gives the ids of before", () => {
    const window = { length: 77, pad: tokenizer.pad };
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9 ,.!?'é😀-]{0,60}$/u), (prompt) => {
        const { ids, weights, vectors } = windowsOf(chunked(prompt), tokenizer, window, 1);
        fc.pre(chunked(prompt).length === 1);
        expect([ids, weights, vectors]).toEqual([encodePlain(tokenizer, prompt, window, "prompt").ids, undefined, undefined]);
      }),
    );
  });
  test("every token of any text is there, in order, in chunks of at most 75", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("word", ",", "firefighteress", "a", "(red:1.2)", "embedding:style", "."), { maxLength: 250 }),
        (list) => {
          const prompt = list.join(" ");
          const chunks = chunked(prompt);
          expect(chunks.flat()).toEqual(tokens(prompt).tokens);
          for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(75);
          for (const [i, chunk] of chunks.entries()) {
            if (i > 0 && chunks[i - 1]!.length > 0) expect(chunk[0]!.word).not.toBe(chunks[i - 1]!.at(-1)!.word);
          }
        },
      ),
    );
  });
  test.each([
    ["a comma that is near ends a chunk", `${words(60)}, ${words(30)}`, [61, 30]],
    ["one that is far does not", `${words(50)}, ${words(40)}`, [75, 16]],
    ["a break ends one", "a cat BREAK a dog", [2, 2]],
    ["two breaks are one, and one at the edge is none", "BREAK a BREAK BREAK b BREAK", [1, 1]],
    ["no words are one chunk", "", [0]],
    ["an embedding is not cut", `${words(73)} embedding:style`, [73, 3]],
  ])("%s", (_, prompt, lengths) => expect(chunked(prompt).map((chunk) => chunk.length)).toEqual(lengths));
  test("what must stay in the first chunk stays there", () => {
    expect(chunked(`${words(60)}, ${words(30)}`, 70).map((chunk) => chunk.length)).toEqual([75, 16]);
  });
  test("embeddings take as many places as they have vectors, one that is not there none, and that is said", () => {
    const { tokens: read, notices } = tokens("a embedding:style b embedding:other");
    expect(read.map((token) => token !== "break" && token.vector?.[0])).toEqual([undefined, 1, 2, 3, undefined]);
    expect(notices.map((notice) => notice.code)).toEqual(["prompt/embedding-unknown"]);
    const said = (prompt: string, which: 0 | 1) =>
      tokensOf(piecesAt(parsePrompt(prompt).nodes, now), { tokenizer, which, embeddings, what: "prompt" }).notices.map(
        (n) => n.code,
      );
    expect(said("embedding:style", 1)).toEqual(["prompt/embedding-one-encoder"]);
    expect(said("in Style, huge_", 0)).toEqual(["prompt/as-words"]);
    expect(said("stylecraft lifestyle", 0)).toEqual([]);
    expect(() => chunked("embedding:huge")).toThrow(code("prompt/embedding-long"));
  });
});

const { tokenizer: knowing, id: triggerId } = tokenizer.withToken("img");
const person = (prompt: string, repeats = 2, everyToken = true) => {
  const pieces = piecesAt(parsePrompt(prompt).nodes, now);
  const { tokens: read } = tokensOf(pieces, { tokenizer: knowing, which: 0, embeddings, what: "prompt" });
  const options = { trigger: "img", triggerId, repeats, everyToken, tokensPerPhoto: 1, tokenizer, length: 75, what: "prompt" };
  return personTokens(read, pieces, options);
};

describe("the person", () => {
  const spoken = (list: readonly (WeightedToken | "break")[]): string =>
    list
      .map((token) =>
        token === "break"
          ? "BREAK"
          : `${tokenizer.decode([token.id])}${token.weight === 1 ? "" : `*${Number(token.weight.toFixed(2))}`}`,
      )
      .join(" ");
  test.each([
    ["a woman img, smile", "a woman woman , smile"],
    ["a woman (img:1.2), smile", "a woman*1.2 woman*1.2 , smile"],
    ["(a woman img:1.2)", "a*1.2 woman*1.2 woman*1.2"],
    ["a (woman:1.3) img", "a woman*1.3 woman*1.3"],
    ["a (woman:1.3) (img:1.1)", "a woman*1.1 woman*1.1"],
    ["woman, img", "woman woman ,"],
    ["woman [img] smiles", "woman*0.91 woman*0.91 smiles"],
    ["a woman (img)", "a woman*1.1 woman*1.1"],
    ['a "woman" - img', 'a " woman woman " -'],
  ])("%s: the class word is the one a reader would take", (prompt, merged) => {
    expect(spoken(person(prompt).merged)).toBe(merged);
    expect(person(prompt).plain).toHaveLength(person(prompt).merged.length - 1);
  });
  test.each([
    ["a woman", "prompt/trigger-missing"],
    ["a woman <img>", "prompt/trigger-missing"],
    ["a woman {img}", "prompt/trigger-missing"],
    ["img", "prompt/class-missing"],
    ["(img:1.2) woman", "prompt/class-missing"],
    ["!!, (img)", "prompt/class-missing"],
    ["a man img and a woman (img:1.2)", "prompt/trigger-repeated"],
    ["a [man:woman:0.5] img", "prompt/person-scheduled"],
    ["a [woman img:0.5:0.5]", "prompt/person-scheduled"],
    ["a cat BREAK a woman img", "prompt/trigger-cut"],
    [`${words(80)} woman img`, "prompt/trigger-cut"],
    [`${words(74)} woman img`, "prompt/class-cut"],
  ])("%s is refused: %s", (prompt, wanted) => expect(() => person(prompt)).toThrow(code(wanted)));

  test("ID tokens are together and in the first chunk, whatever follows and wherever commas are", () => {
    const list = fc.array(fc.constantFrom("word", ",", "a", "(red:1.2)"), { maxLength: 60 });
    fc.assert(
      fc.property(list, list, fc.integer({ min: 1, max: 12 }), (before, after, repeats) => {
        const { merged, at, used } = person([...before, "woman img", ...after].join(" "), repeats, false);
        expect(used).toBe(Math.min(repeats, 75 - at));
        const [first] = chunksOf(merged, { length: 75, comma, firstAtLeast: at + used });
        const [woman] = tokenizer.words("woman").flat();
        expect(first!.slice(at, at + used).map(({ id }) => id)).toEqual(Array(used).fill(woman));
      }),
    );
  });
  test("V1 works with fewer tokens, and that is said", () => {
    const { used, notices } = person(`${words(74)} woman img`, 4, false);
    expect(used).toBe(1);
    expect(notices.map((notice) => notice.code)).toEqual(["prompt/class-cut"]);
    expect(person("a firefighteress (img)").notices.map((notice) => notice.code)).toEqual(["prompt/class-several-tokens"]);
  });
});

describe("wildcards", async () => {
  const folder = await mkdtemp(join(tmpdir(), "wildcards-"));
  await mkdir(join(folder, "colours"));
  await writeFile(join(folder, "animal.txt"), "# animals\r\ncat\r\n__colours/warm__ dog\r\n\r\n");
  await writeFile(join(folder, "colours", "warm.txt"), Buffer.from("\ufeffred\nyellow\n", "utf16le"));
  await writeFile(join(folder, "empty.txt"), "# nothing\n");
  await writeFile(join(folder, "loop.txt"), "__loop__ x\n");
  const made = (prompt: string, seed = 1) => expandChoices(prompt, wildcardsIn(folder), seededRandom(seed));

  test("are chosen by the seed, also inside of each other", async () => {
    const all = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      expect(await made("a __animal__", seed)).toBe(await made("a __animal__", seed));
      all.add(await made("a __animal__", seed));
    }
    expect([...all].toSorted()).toEqual(["a cat", "a red dog", "a yellow dog"]);
    expect(await made("__warm__")).toMatch(/^(red|yellow)$/); // by the name alone
    expect(await made("{a|b|{c|d}} \\{e|f}")).toMatch(/^[abcd] \\\{e\|f\}$/);
  });
  test("what is no wildcard stays", async () => {
    for (const text of ["snake_case __init", "a_b__c", "____", "{word}"]) expect(hasChoices(text)).toBe(false);
  });
  test.each([
    ["__nobody__", "wildcards/missing"],
    ["__empty__", "wildcards/empty"],
    ["__loop__", "wildcards/endless"],
  ])("%s is refused: %s", async (prompt, wanted) => {
    await expect(made(prompt)).rejects.toThrow(code(wanted));
  });
  test("a folder must be given, and be there", async () => {
    await expect(expandChoices("__x__", undefined, seededRandom(1))).rejects.toThrow(code("wildcards/not-given"));
    await expect(expandChoices("__x__", wildcardsIn(join(folder, "no")), seededRandom(1))).rejects.toThrow(
      code("wildcards/no-folder"),
    );
  });
});
