import { afterAll, beforeAll, expect, test } from "vitest";
import { floats, integers } from "../../core/array.ts";
import { ortRuntime } from "../../runtime/node/ort-runtime.ts";
import { textGraph, unetGraph, withLoras } from "../../sessions/graphs.ts";
import { goldenPath, hasGolden } from "../../testing/golden.ts";
import { type GoldenTensors, goldenJson, goldenTensors } from "../../testing/tensors.ts";
import type { ModelFiles } from "../../weights/model.ts";
import { openAdapter } from "../../weights/open-adapter.node.ts";
import { openModel } from "../../weights/open-model.node.ts";
import { collectLoras } from "./loras.ts";

const runtime = ortRuntime();
afterAll(() => runtime.close());
let model: ModelFiles;
let inputs: GoldenTensors;
beforeAll(async () => {
  model = await openModel(goldenPath("tiny-sdxl"));
  inputs = await goldenTensors("lora", "inputs.safetensors");
});

const cases = (goldenJson("lora", "index.json").cases as { file: string; scale: number; expected: string }[]).filter(
  (c) => hasGolden(c.file) && hasGolden(c.expected),
);

test.each(cases)("$file merged into the weights gives the outputs of diffusers", async ({ file, scale, expected }) => {
  const golden = await goldenTensors(expected);
  const { pairs, notices } = await collectLoras(model, undefined, 1, [{ path: goldenPath(file), scale }]);
  expect(notices).toEqual([]);

  const graph = unetGraph(model, pairs);
  const unet = await runtime.load(withLoras(graph.unfinished.outputs, graph.unfinished.pairs));
  const { noise } = await unet.run({
    latents: await inputs.floats("sample"),
    timestep: floats(Float32Array.of(601), 1),
    context: await inputs.floats("encoder_hidden_states"),
    pooled: await inputs.floats("text_embeds"),
    timeIds: await inputs.floats("time_ids"),
  });
  await unet.close();
  expect(noise.data as Float32Array).toMatchGolden((await golden.floats("output_fused")).data, 2e-3);

  for (const [n, name] of [
    [1, "text_encoder"],
    [2, "text_encoder_2"],
  ] as const) {
    const { unfinished, config } = textGraph(model, name, pairs);
    const session = await runtime.load(withLoras(unfinished.outputs, unfinished.pairs));
    const ids = await inputs.integers("token_ids");
    const at = n === 1 ? {} : { pooledAt: integers([ids.indexOf(49407)], 1) };
    const out = await session.run({ ids: integers(ids, 1, ids.length), ...at });
    await session.close();
    expect(out[`hidden_${config.layers - 1}`]!.data as Float32Array).toMatchGolden(
      (await golden.floats(`hidden_${n}`)).data,
      5e-5,
    );
  }
});

test("strengths of one LoRA given twice add up, and a strength of zero changes nothing", async () => {
  const path = goldenPath(cases[0]!.file);
  const at = async (...scales: number[]) =>
    (
      await collectLoras(
        model,
        undefined,
        1,
        scales.map((scale) => ({ path, scale })),
      )
    ).pairs;
  expect((await at(0)).size).toBe(0);
  const one = [...(await at(0.75)).get("unet")!.values()][0]!;
  const two = [...(await at(0.5, 0.25)).get("unet")!.values()][0]!;
  expect(two).toHaveLength(2);
  expect(two.reduce((sum, { scale }) => sum + scale, 0)).toBeCloseTo(one[0]!.scale);
});

test("an adapter whose LoRA belongs to another model is refused", async () => {
  const adapter = await openAdapter(goldenPath("tiny-photomaker-v1.bin"));
  const [layer] = [...adapter.lora.keys()].map((name) => name.replace(/(down|up)\.weight$/, ""));
  const elsewhere = (name: string) =>
    name.startsWith(layer!) ? name.replace(/^unet\.[a-z]+_blocks?(\.\d+)?/, "unet.down_blocks.7") : name;
  const lora = new Map([...adapter.lora].map(([name, entry]) => [elsewhere(name), { ...entry, name: elsewhere(name) }]));
  await expect(collectLoras(model, { ...adapter, lora }, 1, [])).rejects.toMatchObject({
    code: "adapter/wrong-model",
    message: expect.stringContaining("down_blocks.7"),
  });
});
