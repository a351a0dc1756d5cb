// Gradients of whole models against PyTorch: the fixtures come from reference/gradients.py.
import { afterAll, expect, test } from "vitest";
import type { NdArray } from "../core/array.ts";
import { integers } from "../core/array.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { grad } from "../graph/grad.ts";
import { abs, add, exp, mul, sub } from "../graph/ops/elementwise.ts";
import { reduceMean } from "../graph/ops/reduce.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import { Weights } from "../graph/weights.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { goldenPath } from "../testing/golden.ts";
import { type GoldenTensors, goldenJson, goldenTensors } from "../testing/tensors.ts";
import { openTensors } from "../weights/open-tensors.node.ts";
import { clipText } from "./clip-text.ts";
import { unet } from "./unet.ts";
import { unetConfig } from "./unet-config.ts";
import { vaeDecode, vaeEncode } from "./vae.ts";
import { vaeConfig } from "./vae-config.ts";

const runtime = ortRuntime();
afterAll(() => runtime.close());
const TOLERANCE = 1e-4;
const square = (x: Tensor): Tensor => mul(x, x);

async function component(name: string) {
  const { tensors } = await openTensors(goldenPath("tiny-sdxl", name, "diffusion_pytorch_model.safetensors"));
  const source = new Checkpoint(tensors, name);
  const of = (path: string): Tensor => source.param(path, tensors.get(path)!.shape);
  return { tensors, weights: new Weights(source), of, config: goldenJson("tiny-sdxl", name, "config.json") };
}

/** An input for each named tensor of the fixture, and the values to feed. */
async function inputsOf(golden: GoldenTensors, names: readonly string[]) {
  const feeds: Record<string, NdArray> = {};
  const inputs: Record<string, Tensor> = {};
  for (const name of names) {
    feeds[name] = await golden.floats(name);
    inputs[name] = input(name, feeds[name].dims);
  }
  return { feeds, inputs };
}

async function check(golden: GoldenTensors, loss: Tensor, of: (path: string) => Tensor, feeds: Record<string, NdArray>) {
  const paths = golden.names().flatMap((name) => (name.startsWith("grad.") ? [name.slice(5)] : []));
  const gradients = grad(loss, paths.map(of));
  const session = await runtime.load({ loss, ...Object.fromEntries(paths.map((path, i) => [`d:${path}`, gradients[i]!])) });
  const out = (await session.run(feeds)) as Record<string, NdArray>;
  await session.close();
  expect(out.loss!.data as Float32Array).toMatchGolden((await golden.floats("loss")).data, TOLERANCE, { relative: true });
  for (const path of paths) {
    const expected = await golden.floats(`grad.${path}`);
    expect(out[`d:${path}`]!.dims, path).toEqual(expected.dims);
    expect(out[`d:${path}`]!.data as Float32Array, path).toMatchGolden(expected.data, TOLERANCE, { relative: true });
  }
  expect(paths.length).toBeGreaterThan(8);
}

test("the UNet's gradients are PyTorch's", async () => {
  const golden = await goldenTensors("gradients", "unet.safetensors");
  const { tensors, weights, of, config } = await component("unet");
  const names = ["latents", "target", "timestep", "context", "pooled", "timeIds"];
  const { feeds, inputs } = await inputsOf(golden, names);
  const noise = unet(inputs as never, weights, unetConfig(config, tensors));
  const loss = reduceMean(square(sub(noise, inputs.target!)));
  await check(golden, loss, (path) => inputs[path] ?? of(path), feeds);
});

test("the text encoder's gradients are PyTorch's, with weights that are inputs", async () => {
  const golden = await goldenTensors("gradients", "clip-text.safetensors");
  const { feeds, inputs } = await inputsOf(golden, [
    "target",
    // the loss reaches neither the last layer nor the last norm
    ...golden.names().filter((name) => name.startsWith("weight.") && !/layers\.2|final/.test(name)),
  ]);
  const shapes = { vocabulary: 20, positions: 9, width: 12, mlp: 20, layers: 3, heads: 2 };
  const source = { param: (path: string, shape: readonly number[]) => inputs[`weight.${path}`] ?? input(path, shape) };
  const { hiddenStates } = clipText(
    { ids: input("ids", [2, 7], "i64"), pooledAt: input("pooledAt", [2], "i64") },
    new Weights(source),
    { ...shapes, activation: "quick_gelu", eps: 1e-5, projection: undefined },
  );
  const loss = reduceMean(square(sub(hiddenStates.at(-2)!, inputs.target!)));
  const ids = integers(await golden.integers("ids"), 2, 7);
  await check(golden, loss, (path) => inputs[`weight.${path}`]!, { ...feeds, ids });
});

test("the VAE's gradients are PyTorch's", async () => {
  const golden = await goldenTensors("gradients", "vae.safetensors");
  const { tensors, weights, of, config } = await component("vae");
  const settings = vaeConfig(config, tensors);
  const { feeds, inputs } = await inputsOf(golden, ["image"]);
  const { mean, logVariance } = vaeEncode(inputs.image!, weights, settings);
  const difference = sub(vaeDecode(mean, weights, settings), inputs.image!);
  const divergence = sub(sub(add(square(mean), exp(logVariance)), 1), logVariance);
  const loss = add(reduceMean(abs(difference)), mul(reduceMean(divergence), 0.01));
  await check(golden, loss, of, feeds);
});
