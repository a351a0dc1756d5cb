import { expect, test } from "vitest";
import { goldenPath } from "../../testing/golden.ts";
import { type Made, single, small, valuesIn } from "../../testing/number-formats.ts";
import { singleFileBytes, singleFileHeader } from "../../testing/single-file.ts";
import { levelsApart, Situation } from "../../testing/situation.ts";

const here = Situation.forTests();

const checkpoint = async (): Promise<Map<string, Made>> =>
  new Map(
    [...(await singleFileBytes())].map(([name, data]) => [name, { dtype: "F16", shape: singleFileHeader[name]![1], data }]),
  );
const CONFIG = ["--model-config", goldenPath("tiny-sdxl")];
const LAYER = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.";
const note = (value: object): Made => {
  const data = new TextEncoder().encode(JSON.stringify(value));
  return { dtype: "U8", shape: [data.length], data };
};

test.each([
  ["scale_weight", "F8_E5M2", { scale_input: single([1]), scaled_fp8: { dtype: "F8_E5M2", shape: [0], data: new Uint8Array() } }],
  ["weight_scale", "F8_E4M3", { comfy_quant: note({ format: "float8_e4m3fn", full_precision_matrix_mult: true }) }],
  ["weight_scale_inv", "F8_E4M3", {}],
  ["weight_scale", "I8", { comfy_quant: note({ format: "int8_tensorwise" }) }],
] as const)(
  "a checkpoint with %s beside weights of %s is drawn as its numbers times their scales",
  async (scale, dtype, more) => {
    const [odd, equal] = [await checkpoint(), await checkpoint()];
    for (const [name, tensor] of await checkpoint()) {
      if (!name.startsWith("model.diffusion_model.") || !name.endsWith(".weight") || tensor.shape.length !== 2) continue;
      const values = await valuesIn(tensor);
      const size = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const factor = Math.fround(size / (dtype === "F8_E4M3" ? 448 : dtype === "I8" ? 127 : 57344));
      const stored: Made =
        dtype === "I8"
          ? { dtype, shape: tensor.shape, data: new Uint8Array(Int8Array.from(values, (x) => Math.round(x / factor)).buffer) }
          : small(tensor.shape, values, dtype, factor);
      odd.set(name, stored);
      odd.set(name.replace(/weight$/, scale), single([factor]));
      for (const [key, value] of Object.entries(more)) odd.set(name.replace(/weight$/, key), value);
      const numbers = dtype === "I8" ? Float32Array.from(new Int8Array(stored.data.buffer)) : await valuesIn(stored);
      equal.set(name, single([...numbers.map((x) => x * factor)], tensor.shape));
    }
    const name = `${scale}-${dtype}`;
    const got = await here.drawn("--model", await here.tensors(name, odd), ...CONFIG);
    const want = await here.drawn("--model", await here.tensors(`${name}-equal`, equal), ...CONFIG);
    expect(levelsApart(got, want)).toBeLessThanOrEqual(1);
    expect(got.notices).not.toContain("model/unused");
  },
);

const bytes = (dtype: Made["dtype"], ...shape: number[]): Made => ({
  dtype,
  shape,
  data: new Uint8Array(shape.reduce((a, b) => a * b, 1)),
});

test.each([
  ["bitsandbytes", { weight: bytes("U8", 288, 1), "weight.quant_state.bitsandbytes__nf4": bytes("U8", 20) }, /bitsandbytes/],
  ["nvfp4", { weight: bytes("U8", 24, 12), weight_scale: bytes("F8_E4M3", 24, 2), weight_scale_2: single([1]) }, /nvfp4/],
  [
    "int8 that is turned",
    { weight: bytes("I8", 24, 24), weight_scale: single([1]), comfy_quant: note({ format: "int8_tensorwise", convrot: true }) },
    /ConvRot/,
  ],
  ["a scale by an unknown name", { weight: bytes("F8_E4M3", 24, 24), weight_qscale: single([1]) }, /weight_qscale/],
  ["integers without a scale", { weight: bytes("I8", 24, 24) }, /without scales/],
] as const)("%s is refused by name, before anything is drawn", async (name, layer, what) => {
  const tensors = await checkpoint();
  for (const [part, made] of Object.entries(layer)) tensors.set(`${LAYER}${part}`, made);
  const { code, problem } = await here.refused("--model", await here.tensors(name, tensors), ...CONFIG);
  expect(code).toBe("weights/number-format");
  expect(problem).toMatch(what);
});
