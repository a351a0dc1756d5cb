import { afterAll, beforeAll, expect, test } from "vitest";
import { floats } from "../../core/array.ts";
import { gaussians } from "../../core/random/gaussians.ts";
import { seededRandom } from "../../core/random/seeded-random.ts";
import { grad } from "../../graph/grad.ts";
import { isTrainedConvolution } from "../../graph/onnx/blocked-convolution.ts";
import { conv2d } from "../../graph/ops/convolution.ts";
import { mul } from "../../graph/ops/elementwise.ts";
import { reduceSum } from "../../graph/ops/layout.ts";
import { input } from "../../graph/ops/source.ts";
import type { Runtime } from "../runtime.ts";
import { channelBlock } from "./channel-block.ts";
import { encodeModel } from "./encode-model.ts";
import { ortRuntime } from "./ort-runtime.ts";

let block: number | undefined;
let [plain, blocked]: (Runtime | undefined)[] = [];
beforeAll(async () => {
  block = await channelBlock();
  plain = ortRuntime({ threads: 1 });
  blocked = ortRuntime({ threads: 1, block });
});
afterAll(() => Promise.all([plain?.close(), blocked?.close()]));

interface Case {
  /** Number of samples; 2 when absent. */
  readonly batch?: number;
  readonly out: number;
  readonly into: number;
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly pads: readonly [number, number, number, number];
}

const graph = ({ batch = 2, out, into, kernel, stride, pads }: Case) => {
  const [x, w, b] = [input("x", [batch, into, 6, 5]), input("w", [out, into, ...kernel]), input("b", [out])];
  const y = conv2d(x, w, b, { stride, pads });
  const [dx, dw, db] = grad(reduceSum(mul(y, y), [0, 1, 2, 3]), [x, w, b]);
  return { inputs: [x, w, b], outputs: { y, dx: dx!, dw: dw!, db: db! } };
};

test.each<Case>([
  { out: 48, into: 32, kernel: [3, 3], stride: 1, pads: [1, 1, 1, 1] },
  { out: 16, into: 64, kernel: [3, 3], stride: 2, pads: [1, 1, 1, 1] },
  { out: 32, into: 16, kernel: [3, 2], stride: 1, pads: [0, 1, 2, 0] },
  { out: 24, into: 8, kernel: [2, 2], stride: 1, pads: [0, 0, 0, 0] },
  { out: 20, into: 16, kernel: [3, 3], stride: 1, pads: [1, 1, 1, 1] }, // not divisible into blocks
  { batch: 16, out: 48, into: 32, kernel: [3, 3], stride: 1, pads: [1, 1, 1, 1] }, // the gradient of w in blocks of samples
  { batch: 32, out: 16, into: 4, kernel: [3, 2], stride: 1, pads: [0, 1, 2, 0] },
  { batch: 16, out: 32, into: 16, kernel: [3, 3], stride: 2, pads: [1, 1, 1, 1] },
  { batch: 48, out: 16, into: 16, kernel: [2, 2], stride: 2, pads: [0, 0, 0, 0] }, // a row and a column outside every kernel window
  { batch: 24, out: 16, into: 16, kernel: [3, 3], stride: 1, pads: [1, 1, 1, 1] },
  { out: 16, into: 16, kernel: [1, 1], stride: 1, pads: [0, 0, 0, 0] },
])("a convolution in blocks of channels and its gradients equal the plain ones: %j", async (how) => {
  const { inputs, outputs } = graph(how);
  const feeds = Object.fromEntries(
    inputs.map(({ shape }, i) => {
      const dims = shape.map(Number);
      return [
        "xwb"[i]!,
        floats(
          gaussians(
            seededRandom(i + 1),
            dims.reduce((a, n) => a * n),
          ),
          ...dims,
        ),
      ];
    }),
  );
  const [expected, got] = await Promise.all([plain!, blocked!].map(async (runtime) => (await runtime.load(outputs)).run(feeds)));
  for (const [name, { data }] of Object.entries(expected!)) {
    const largest = Math.max(...Array.from(data as Float32Array, Math.abs));
    for (const [i, v] of data.entries())
      expect(Math.abs(Number(v) - Number(got![name as "y"].data[i]))).toBeLessThan(largest * 1e-5);
  }
});

test("blocked kernels are found on this kind of processor, and graphs that do not need them do not use them", async () => {
  if (process.arch === "x64") expect([8, 16]).toContain(block);
  const named = (how: Case): boolean => {
    const { outputs } = graph(how);
    const steps = encodeModel(outputs, { block });
    for (let step = steps.next(); ; step = steps.next())
      if (step.done) return Buffer.from(step.value.model).includes("com.microsoft.nchwc");
  };
  const fits: Case = { out: 32, into: 32, kernel: [3, 3], stride: 1, pads: [1, 1, 1, 1] };
  expect(named(fits)).toBe(block !== undefined);
  expect(named({ ...fits, out: 20 })).toBe(false);
  expect(named({ ...fits, out: 20, batch: 16 })).toBe(false);
  expect(isTrainedConvolution(graph(fits).outputs.y)).toBe(true);
  expect(isTrainedConvolution(graph({ ...fits, into: 20 }).outputs.y)).toBe(false);
});
