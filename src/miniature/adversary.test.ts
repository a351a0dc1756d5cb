import { afterAll, expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { gaussians } from "../core/random/gaussians.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { grad } from "../graph/grad.ts";
import { detach } from "../graph/ops/detach.ts";
import { mul } from "../graph/ops/elementwise.ts";
import { reduceSum } from "../graph/ops/layout.ts";
import { reduceMean } from "../graph/ops/reduce.ts";
import { upsampleBicubic } from "../graph/ops/resample.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { TrainableWeights } from "../train/trainable-weights.ts";
import { patchJudge } from "./adversary.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());

test("no gradient flows through a detached tensor, whose values stay", async () => {
  const x = input("x", [3]);
  const loss = reduceSum(mul(detach(x), x)); // d/dx is x, not 2x
  const session = await runtime.load({ loss, dx: grad(loss, [x])[0]! });
  const { loss: value, dx } = await session.run({ x: floats(Float32Array.of(1, 2, 3), 3) });
  expect([...(value.data as Float32Array)]).toEqual([14]);
  expect([...(dx.data as Float32Array)]).toEqual([1, 2, 3]);
  await session.close();
});

test("bicubic upsampling equals torch's interpolate", async () => {
  const session = await runtime.load({ y: upsampleBicubic(input("x", [1, 1, 2, 3]), 2) });
  const { y } = await session.run({ x: floats(Float32Array.of(0, 1, 4, 9, -3, 2), 1, 1, 2, 3) });
  await session.close();
  expect(y.dims).toEqual([1, 1, 4, 6]);
  // torch.nn.functional.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
  const torch = [
    -1.1993, -0.51007, 0.59052, 2.30385, 3.6624, 4.5051, 2.24423, 1.47693, 0.17029, 0.67093, 2.69614, 3.91107, 7.91592, 4.74963,
    -0.52185, -2.01859, 1.10464, 2.93268, 11.35945, 6.73663, -0.94208, -3.6515, 0.13838, 2.33865,
  ];
  expect(y.data as Float32Array).toMatchGolden(Float32Array.from(torch), 2e-5);
});

test("scores do not depend on the size of a layer's weights, and their gradients are those of finite differences", async () => {
  const weights = new TrainableWeights();
  const side = 16;
  const { scores } = patchJudge(input("x", [1, 3, side, side]), new Weights(weights));
  const score = reduceMean(scores);
  const parameters = weights.layout(() => 0);
  const values = new Float32Array(parameters.reduce((sum, { length }) => sum + length, 0));
  await weights.initialise(values, parameters, 3);
  const name = "layers.1.weight";
  const place = parameters.find((each) => each.name === name)!;
  const session = await runtime.load({ score, d: grad(score, [weights.tensors().get(name)!])[0]! });
  const pixels = floats(gaussians(seededRandom(4), 3 * side * side), 1, 3, side, side);
  const run = async (changed: Float32Array) =>
    session.run({
      x: pixels,
      ...Object.fromEntries(
        parameters.map(({ name, offset, length, dims }) => [name, floats(changed.slice(offset, offset + length), ...dims)]),
      ),
    });
  const { score: before, d } = await run(values);
  const { score: larger } = await run(values.map((v, i) => (i >= place.offset && i < place.offset + place.length ? 3 * v : v)));
  expect(larger.data[0] as number).toBeCloseTo(before.data[0] as number, 5);
  const way = gaussians(seededRandom(5), place.length);
  const moved = async (by: number): Promise<number> =>
    (await run(values.map((v, i) => v + by * (way[i - place.offset] ?? 0)))).score.data[0] as number;
  const expected = ((await moved(1e-4)) - (await moved(-1e-4))) / 2e-4;
  const found = (d.data as Float32Array).reduce((sum, v, i) => sum + v * way[i]!, 0);
  expect(found / expected).toBeCloseTo(1, 1);
  await session.close();
});
