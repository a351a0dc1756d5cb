import { mkdir } from "node:fs/promises";
import { beforeAll, expect, test } from "vitest";
import { makePickle, makeTorchZip, pickledTensor } from "../../testing/made-files.ts";
import { levelsApart, noise, Situation, WITH_V1 } from "../../testing/situation.ts";

const here = Situation.forTests();
const person = (prompt: string, ...more: string[]) => here.drawn(...WITH_V1, "--steps", "4", "--prompt", prompt, ...more);

test("the person takes the place of the class word, whatever stands between it and the trigger word", async () => {
  const plain = await person("photo of a woman img, smile");
  for (const prompt of [
    "photo of a woman (img:1.0), smile",
    "photo of a woman <lora:x:1> img, smile",
    "photo of a\n woman img,\r\nsmile",
  ])
    expect(levelsApart(await person(prompt), plain), prompt).toBe(0);
  expect(levelsApart(await person("photo of a woman (img:1.2), smile"), plain)).toBeGreaterThan(1);
  for (const between of [
    "“woman” img",
    "woman_img",
    "**woman** img",
    "woman… img",
    "woman 👩 img",
    "woman, (img)",
    "[woman] img",
  ]) {
    const { out } = await here.run("inspect-prompt", `photo of a ${between}, smile`, "--json");
    const { texts, notices } = JSON.parse(out);
    const placed = texts[0].chunks[0].filter((token: { person?: boolean }) => token.person === true);
    expect(
      placed.map(({ text }: { text: string }) => text),
      between,
    ).toEqual(["woman"]);
    expect(notices, between).toEqual([]);
  }
});

test("a class word that is none is said, with the word that is meant", async () => {
  const { messages } = await person("photo of a man wearing a hat img");
  expect(messages).toContainEqual(expect.stringMatching(/takes the place of "hat".*write "man img"/));
  for (const prompt of ["photo of a man img, hat", "an astronaut img"])
    expect((await person(prompt)).notices).not.toContain("prompt/class-unusual");
});

test("brackets: far too many are refused, and a large weight is said whether it is a number or many brackets", async () => {
  const deep = (count: number) => `a cat, ${"(".repeat(count)}hat${")".repeat(count)}`;
  expect(await here.refused("--prompt", deep(5000))).toMatchObject({
    code: "prompt/nesting",
    remedy: expect.stringContaining("(word:1.5)"),
  });
  expect((await here.drawn("--prompt", deep(12))).messages).toContainEqual(expect.stringMatching(/weight 3\.14/));
  expect((await here.drawn("--prompt", deep(3))).notices).not.toContain("prompt/weight-extreme");
  expect(await here.refused("--prompt", "a (cat:1,2)")).toMatchObject({
    code: "prompt/weight",
    remedy: expect.stringContaining("(word:1.2)"),
  });
});

test("weights, tags, an embedding and BREAK pasted from elsewhere: what is not at hand is named with its flag", async () => {
  const { messages } = await here.drawn(
    "--prompt",
    "(masterpiece:1.3), ((cat)), [dog], BREAK, <lora:detail:0.8>, <hypernet:x:1>, embedding:negativeXL_D",
  );
  expect(messages.join("\n")).toMatch(/embedding:negativeXL_D.*--embeddings.*--lora detail\.safetensors:0\.8.*<hypernet:x:1>/s);
});

test("choices: some of several, and by weight", async () => {
  const said = async (prompt: string, seed: number): Promise<string> =>
    JSON.parse((await here.run("inspect-prompt", prompt, "--seed", `${seed}`, "--json")).out).became;
  for (const seed of [1, 2, 3]) {
    expect(await said("a cat, {2$$red|green|blue}", seed)).toMatch(/^a cat, (red|green|blue), (?!\1)(red|green|blue)$/);
    expect(await said("a cat, {2$$ and $$red|green}", seed)).toMatch(/^a cat, (red and green|green and red)$/);
    expect(await said("a cat, {0::red|0.5::green}", seed)).toBe("a cat, green");
  }
});

const LAYER = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q";

test("a LoRA that the prompt names, by blocks; and what its tag says besides is named", async () => {
  await mkdir(here.path("loras"));
  await here.tensors("loras/My Style v1.2", {
    [`${LAYER}.lora_down.weight`]: noise(1, 4, 24),
    [`${LAYER}.lora_up.weight`]: noise(2, 24, 4),
  });
  const tagged = (tag: string) => here.drawn("--lora-folder", here.path("loras"), "--prompt", `a cat ${tag}`);
  const without = await here.drawn();
  const whole = await tagged("<lora:My Style v1.2:1>");
  expect(levelsApart(whole, without)).toBeGreaterThan(1);
  expect(levelsApart(await tagged(`<lora:my style v1.2.safetensors:te=1:unet=1:lbw=${Array(12).fill(1)}>`), whole)).toBe(0);
  expect(levelsApart(await tagged("<lyco:My Style v1.2:1:lbw=1,0,0,0,0,0,0,0,0,0,0,0>"), without)).toBe(0);
  for (const part of ["start=5", "lbw=MIDD", "0.5"]) {
    const { notices, messages } = await tagged(`<lora:My Style v1.2:1:${part}>`);
    expect(notices).toContain("prompt/tag-part");
    expect(messages.join("\n")).toContain(`no effect: ${part}.`);
  }
});

beforeAll(async () => {
  await here.tensors("negativeXL", { clip_l: noise(3, 2, 16), clip_g: noise(4, 2, 24) });
});

test("a textual inversion given as a LoRA is refused, and drawn as the remedy says", async () => {
  const { code, remedy } = await here.refused("--lora", here.path("negativeXL.safetensors"));
  expect(code).toBe("lora/wrong-kind");
  expect(remedy).toMatch(/--embeddings .*embedding:negativeXL/);
  const embedded = (prompt: string) => here.drawn("--embeddings", here.path("negativeXL.safetensors"), "--prompt", prompt);
  const used = await embedded("a cat embedding:negativeXL");
  expect(levelsApart(used, await here.drawn())).toBeGreaterThan(1);
  expect(levelsApart(await embedded("a cat embedding:NEGATIVEXL.safetensors"), used)).toBe(0);
  expect(levelsApart(await embedded("a cat (embedding:negativeXL:1.4)"), used)).toBeGreaterThan(1);
  expect((await embedded("a cat negativeXL")).messages.join()).toMatch(/write embedding:negativexl/);
});

test("an embedding of the web UI whose vectors lie in a ParameterDict", async () => {
  const tensor = pickledTensor("0", 32, [2, 16], [16, 1]);
  const state = [
    "}(",
    { text: "training" },
    "\x88",
    { text: "_parameters" },
    "}(",
    { text: "*" },
    ...tensor,
    "u",
    { text: "_keys" },
    "}u",
  ];
  const dictionary = ["ctorch.nn.modules.container\nParameterDict\n)\x81", ...state, "b"];
  const pickle = makePickle("\x80\x02}(", { text: "string_to_param" }, ...dictionary, { text: "step" }, { int: 7 }, "u.");
  await here.write("old.pt", makeTorchZip(pickle, { "0": noise(5, 2, 16).data }));
  await here.tensors("new", { emb_params: noise(5, 2, 16) });
  const of = (name: string) =>
    here.drawn("--embeddings", here.path(name), "--prompt", `a cat embedding:${name.replace(/\..*/, "")}`);
  expect(levelsApart(await of("old.pt"), await of("new.safetensors"))).toBe(0);
});
