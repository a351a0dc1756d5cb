import { expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { allMade, type Made, single } from "../../testing/number-formats.ts";
import { levelsApart, noise, Situation } from "../../testing/situation.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";

const here = Situation.forTests();
const withLora = (path: string, ...more: string[]) => here.drawn("--lora", path, ...more);

const [ORIGINAL, DIFFUSERS] = [
  "input_blocks.4.1.transformer_blocks.0.attn1.to_q",
  "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
];
const kohya = `lora_unet_${ORIGINAL.replaceAll(".", "_")}`;
const [down, up] = [noise(1, 4, 24), noise(2, 24, 4)];

test("a layer of a LoRA is the same in every writer's names", async () => {
  const pair = (stem: string, a: string, b: string) => ({ [`${stem}.${a}`]: down, [`${stem}.${b}`]: up });
  const downUp = (stem: string) => pair(stem, "lora_down.weight", "lora_up.weight");
  const spellings: Record<string, Made>[] = [
    { ...downUp(kohya), [`${kohya}.alpha`]: { dtype: "I64", shape: [1], data: Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0) } },
    downUp(`lycoris_${ORIGINAL.replaceAll(".", "_")}`),
    pair(`unet.${DIFFUSERS}`, "lora_A.default.weight", "lora_B.default.weight"),
    pair(`base_model.model.${DIFFUSERS}`, "lora_A.weight", "lora_B.weight"),
    pair(`diffusion_model.${ORIGINAL}`, "lora_A.weight", "lora_B.weight"),
  ];
  const [first, ...others] = await Promise.all(spellings.map((tensors, i) => here.tensors(`spelling${i}`, tensors)));
  const want = await withLora(first!);
  expect(levelsApart(want, await here.drawn())).toBeGreaterThan(1);
  for (const path of others) expect(levelsApart(await withLora(path), want), path).toBe(0);
});

test("text encoder layers are the same in every writer's names", async () => {
  const [one, two] = ["text_model.encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.1.mlp.fc1"];
  const parts = [noise(3, 4, 16), noise(4, 16, 4), noise(5, 4, 24), noise(6, 96, 4)];
  const lora = (first: string, second: string): Record<string, Made> => ({
    [`${first}.lora_down.weight`]: parts[0]!,
    [`${first}.lora_up.weight`]: parts[1]!,
    [`${second}.lora_down.weight`]: parts[2]!,
    [`${second}.lora_up.weight`]: parts[3]!,
  });
  const flat = (name: string) => name.replaceAll(".", "_");
  const want = await withLora(await here.tensors("te", lora(`lora_te1_${flat(one)}`, `lora_te2_${flat(two)}`)));
  expect(levelsApart(want, await here.drawn())).toBeGreaterThan(1);
  for (const [i, [first, second]] of [
    [`text_encoders.clip_l.transformer.${one}`, `text_encoders.clip_g.transformer.${two}`],
    [`clip_l.transformer.${one}`, `clip_g.transformer.${two}`],
    [`clip_l.${one}`, `clip_g.${two}`],
  ].entries())
    expect(levelsApart(await withLora(await here.tensors(`te${i}`, lora(first!, second!))), want), first!).toBe(0);
});

test("LoHa, LoKr, DoRA, OFT and full differences with norms draw, and no two alike", async () => {
  const pictures = [await here.drawn()];
  const full = { [`${kohya}.diff`]: noise(7, 24, 24), [`${kohya.replace("attn1_to_q", "norm1")}.w_norm`]: noise(8, 24) };
  for (const path of [
    ...["loha", "lokr", "dora_rows", "oft"].map((kind) => goldenPath("lora", "kin", `${kind}.safetensors`)),
    await here.tensors("full", full),
  ])
    pictures.push(await withLora(path));
  for (const [i, picture] of pictures.entries())
    for (const other of pictures.slice(i + 1)) expect(levelsApart(picture, other)).toBeGreaterThan(1);
});

test("DoRA in diffusers' names is DoRA in kohya's", async () => {
  const both = { down, up };
  const rows = noise(9, 24).data;
  const magnitude = (shape: number[]): Made => ({ dtype: "F32", shape, data: rows });
  const a = await here.tensors("dora", {
    [`${kohya}.lora_down.weight`]: both.down,
    [`${kohya}.lora_up.weight`]: both.up,
    [`${kohya}.dora_scale`]: magnitude([24, 1]),
  });
  const b = await here.tensors("dora-diffusers", {
    [`unet.${DIFFUSERS}.lora_A.weight`]: both.down,
    [`unet.${DIFFUSERS}.lora_B.weight`]: both.up,
    [`unet.${DIFFUSERS}.lora_magnitude_vector`]: magnitude([24]),
  });
  expect(levelsApart(await withLora(a), await withLora(b))).toBe(0);
});

test("a tensor that nothing uses is named, and the rest draws", async () => {
  const { tensors } = await openTensors(goldenPath("lora", "kohya_sgm.safetensors"));
  const made = await allMade(tensors);
  const { messages } = await withLora(await here.tensors("odd", new Map([...made, ["foo.bar", single([1])]])));
  expect(messages).toContainEqual(expect.stringMatching(/1 of its \d+ tensors .* not used: foo\.bar/));
});

test.each<[string, Record<string, Made>, RegExp]>([
  [
    "an IP-Adapter",
    { "image_proj.proj.weight": noise(1, 8, 8), "ip_adapter.1.to_k_ip.weight": noise(1, 8, 8) },
    /is an IP-Adapter/,
  ],
  ["a ControlNet", { "control_model.input_blocks.0.0.weight": noise(1, 8, 8) }, /is a ControlNet/],
  [
    "a LoRA of another model",
    { "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": noise(1, 4, 8) },
    /None of the 1 tensors/,
  ],
])("%s given as a LoRA is refused for what it is", async (name, tensors, problem) => {
  const refused = await here.refused("--lora", await here.tensors(name, tensors));
  expect(refused.problem).toMatch(problem);
  expect(refused.code).toMatch(/^lora\//);
});
