import { expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { changedWeight } from "./changed-weight.ts";
import { matchLora, patchOf } from "./lora-match.ts";
import { openModel } from "./open-model.node.ts";
import { openTensors } from "./open-tensors.node.ts";
import { readFloats } from "./read-tensor.ts";

const { unet } = (await openModel(goldenPath("tiny-sdxl"))).components;
const expected = await goldenTensors("lora", "kin", "expected.safetensors");
const kinds = goldenJson("lora", "kin", "index.json") as { kind: string; layers: number; strengths: number[] }[];

test("each way in which LoRA's kin is written has a file", () => {
  expect(kinds.length).toBeGreaterThanOrEqual(28);
});

// reference/lora_kin.py: files that LyCORIS and PEFT write, and the weights that they merge
test.each(kinds)("$kind changes weights as its makers do", async ({ kind, layers: count, strengths }) => {
  const { tensors, metadata } = await openTensors(goldenPath("lora", "kin", `${kind}.safetensors`));
  const { layers, patches, unmatched } = await matchLora(tensors, { unet: unet.tensors }, metadata);
  expect(unmatched).toEqual([]);
  const all = [...layers.map(patchOf), ...patches];
  expect(new Set(all.map(({ target }) => target.replace(/\.\w+$/, ""))).size).toBe(count);
  for (const strength of strengths) {
    const prefix = `${kind}/${strength.toFixed(1)}/`;
    const names = expected.names().filter((name) => name.startsWith(prefix));
    expect(names.length).toBeGreaterThanOrEqual(count);
    for (const name of names) {
      const target = name.slice(prefix.length);
      const before = unet.tensors.get(target)!;
      const own = all.filter((patch) => patch.target === target).map((patch) => ({ patch, strength }));
      const after = await readFloats(own.length === 0 ? before : changedWeight(before, own));
      expect(after, name).toMatchGolden((await expected.floats(name)).data, 1e-6);
      if (own.length > 0) expect(after, name).not.toMatchGolden(await readFloats(before), 1e-3);
    }
  }
});
