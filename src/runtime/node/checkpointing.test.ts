import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { floats } from "../../core/array.ts";
import { floatsToHalves } from "../../core/floats.ts";
import { atOnce } from "../../core/steps.ts";
import { betweenBlocks, checkpointedGrad } from "../../graph/checkpointing.ts";
import { grad } from "../../graph/grad.ts";
import { silu } from "../../graph/ops/activation.ts";
import { widenAtUse } from "../../graph/ops/after.ts";
import { add, mul, sub } from "../../graph/ops/elementwise.ts";
import { matmul } from "../../graph/ops/matrix.ts";
import { reduceMean } from "../../graph/ops/reduce.ts";
import { input, param } from "../../graph/ops/source.ts";
import { rewrite } from "../../graph/rewrite.ts";
import type { Tensor } from "../../graph/tensor.ts";
import { Weights } from "../../graph/weights.ts";
import { unet } from "../../models/unet.ts";
import { scattered } from "../../testing/finite-differences.ts";
import { encodeModel } from "./encode-model.ts";
import { ortRuntime } from "./ort-runtime.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());

const sizes = {
  inChannels: 4,
  outChannels: 4,
  channels: [16, 32],
  depth: [0, 2],
  midDepth: 2,
  upDepth: [0, 2],
  heads: [2, 4],
  layersPerBlock: 2,
  groups: 4,
  contextDim: 24,
  pooledDim: 8,
  timeIdDim: 4,
  linearProjection: true,
};
/** A block for each residual or transformer block, like the trainer's UNET_BLOCKS. */
const blockOf = (path: string): string | undefined => /^.*?(resnets|transformer_blocks|samplers)\.\d+/.exec(path)?.[0];

test("gradients of a UNet are the same with and without checkpoints, and with weights widened at use", async () => {
  const weights = new Map<string, Tensor>();
  const trained: Tensor[] = [];
  const source = {
    param: (path: string, shape: readonly number[]) => {
      const known = weights.get(path);
      if (known !== undefined) return known;
      const size = shape.reduce((a, b) => a * b, 1);
      const scale = shape.length === 1 ? 1 : 1 / Math.sqrt(size / shape[0]!);
      const values = scattered(size, weights.size).map((v) => v * scale);
      // some are trained; all others are stored in half precision
      const isTrained = /attn\d\.to_[kv]|attentions.*norm1\.bias/.test(path);
      const bytes = new Uint8Array((isTrained ? Float32Array.from(values) : floatsToHalves(values)).buffer);
      const entry = { name: path, dtype: isTrained ? "F32" : "F16", shape, source: { kind: "bytes", bytes } } as const;
      const tensor = param(path, entry);
      weights.set(path, tensor);
      if (isTrained) trained.push(tensor);
      return tensor;
    },
  };
  const inputs = {
    latents: input("latents", [2, 4, 8, 6]),
    timestep: input("timestep", [2]),
    context: input("context", [2, 3, 24]),
    pooled: input("pooled", [2, 8]),
    timeIds: input("timeIds", [2, 6]),
  };
  const output = unet(inputs, new Weights(source), sizes);
  const difference = sub(output, input("target", [2, 4, 8, 6]));
  const loss = reduceMean(mul(difference, difference));
  const [late] = rewrite([loss], (y) => widenAtUse(y, 1));
  const feeds = Object.fromEntries(
    Object.entries({ ...inputs, target: inputs.latents }).map(([name, { shape }], i) => {
      const dims = shape as readonly number[];
      return [
        name,
        floats(
          scattered(
            dims.reduce((a, b) => a * b, 1),
            50 + i,
          ),
          ...dims,
        ),
      ] as const;
    }),
  );
  const gradients = async (value: Tensor, of: (t: Tensor) => Tensor[]) => {
    const outputs = Object.fromEntries([value, ...of(value)].map((t, i) => [`out${i}`, t]));
    const session = await runtime.load(outputs);
    const out = await session.run(feeds);
    await session.close();
    return Object.keys(outputs).map((name) => out[name]!.data as Float32Array);
  };
  const plain = await gradients(loss, (t) => grad(t, trained));
  const kept = (t: Tensor) => betweenBlocks([t], blockOf);
  const again = await gradients(loss, (t) => checkpointedGrad(t, trained, kept(t)));
  const lean = await gradients(late!, (t) => checkpointedGrad(t, trained, kept(t)));
  expect(trained.length).toBeGreaterThan(20);
  expect(kept(late!).size).toBe(kept(loss).size);
  for (const [i, values] of plain.entries()) {
    expect(again[i], `${i}`).toMatchGolden(values, 1e-3, { relative: true }); // some are sums of numbers that almost cancel
    expect(lean[i], `${i}`).toMatchGolden(values, 1e-3, { relative: true });
  }
  const all = (parts: Float32Array[]) => parts.flatMap((part) => [...part]);
  expect(all(again)).toMatchGolden(all(plain), 1e-6, { relative: true });
  expect(all(lean)).toMatchGolden(all(plain), 1e-6, { relative: true });
});

const ROWS = 4096;
const WIDTH = 256;
const BLOCKS = 12;

/** Peak memory, in megabytes, of a program that computes `outputs` once, from zeros. */
function peak(folder: string, outputs: Record<string, Tensor>): number {
  const { model, options } = atOnce(encodeModel(outputs, { threads: 1 }));
  writeFileSync(join(folder, "model.onnx"), model);
  const program = `
    import { createRequire } from "node:module";
    const { InferenceSession, Tensor } = createRequire(${JSON.stringify(import.meta.url)})("onnxruntime-node");
    const session = await InferenceSession.create(${JSON.stringify(join(folder, "model.onnx"))}, ${JSON.stringify(options)});
    const feed = ({ name, shape }) => [name, new Tensor("float32", new Float32Array(shape.reduce((a, b) => a * b, 1)), shape)];
    const before = process.resourceUsage().maxRSS;
    await session.run(Object.fromEntries(session.inputMetadata.map(feed)));
    console.log((process.resourceUsage().maxRSS - before) / 1024);`;
  writeFileSync(join(folder, "program.mjs"), program);
  const { stdout, stderr } = spawnSync(process.execPath, [join(folder, "program.mjs")], { encoding: "utf8" });
  expect(stdout, stderr).not.toBe("");
  return Number(stdout);
}

test("checkpoints lower the memory of a deep network", () => {
  const folder = mkdtempSync(join(tmpdir(), "peak-"));
  try {
    const weights = Array.from({ length: BLOCKS }, (_, i) => input(`block.${i}.weight`, [WIDTH, WIDTH]));
    let x = input("x", [ROWS, WIDTH]);
    for (const w of weights) {
      const h = silu(matmul(silu(matmul(x, w)), w));
      x = add(x, silu(matmul(mul(h, h), w)));
    }
    const loss = reduceMean(mul(x, x));
    const named = (gradients: Tensor[]) => Object.fromEntries(gradients.map((g, i) => [`g${i}`, g]));
    const kept = betweenBlocks([loss], (path) => /block\.\d+/.exec(path)?.[0]);
    const plain = peak(folder, named(grad(loss, weights)));
    const lean = peak(folder, named(checkpointedGrad(loss, weights, kept)));
    const one = (ROWS * WIDTH * 4) / 2 ** 20; // megabytes of one tensor
    expect(kept.size).toBe(BLOCKS - 1);
    expect(plain).toBeGreaterThan(BLOCKS * 6 * one);
    expect(lean, `${plain} MB without`).toBeLessThan(plain / 2);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
