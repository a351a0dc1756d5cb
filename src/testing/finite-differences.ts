import { type FloatArray, floats, type NdArray } from "../core/array.ts";
import { grad } from "../graph/grad.ts";
import { mul } from "../graph/ops/elementwise.ts";
import { reduceSum } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { compare } from "./golden.ts";

const STEP = 0.03;
/** Central differences of order 4 (Fornberg 1988, table 1): offset in steps, weight. */
const STENCIL = [
  [-2, 1 / 12],
  [-1, -2 / 3],
  [1, 2 / 3],
  [2, -1 / 12],
] as const;

export interface DifferenceOptions {
  /** Largest error over the largest derivative. */
  readonly tolerance?: number;
  /** Inputs that are fed and not differentiated. */
  readonly fixed?: Readonly<Record<string, NdArray>>;
}

/** Pseudo-random values between -1 and 1, the same each time. */
export const scattered = (count: number, seed = 1): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453;
    return 2 * (x - Math.floor(x)) - 1;
  });

/**
 * Compares grad with finite differences of f, computed by the runtime, for every element of every input.
 * The loss is a sum of f's values with uneven weights.
 * @returns the golden matcher's result for the worst input
 */
export async function compareWithDifferences(
  runtime: Runtime,
  f: (...inputs: Tensor[]) => Tensor,
  values: readonly FloatArray[],
  { tolerance = 1e-3, fixed = {} }: DifferenceOptions = {},
): Promise<{ pass: boolean; message: string }> {
  const inputs = values.map((v, i) => input(`x${i}`, v.dims));
  const y = f(...inputs);
  const weights = scattered(
    (y.shape as number[]).reduce((a, b) => a * b, 1),
    9,
  );
  const dy = input("dy", y.shape);
  const gradients = grad(reduceSum(mul(y, dy)), inputs);
  const session = await runtime.load({ y, ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])) });
  try {
    const feeds: Record<string, NdArray> = {
      ...fixed,
      dy: floats(weights, ...(y.shape as number[])),
      ...Object.fromEntries(values.map((v, i) => [`x${i}`, v])),
    };
    const all = await session.run(feeds);
    const loss = async (name: string, data: Float32Array, dims: readonly number[]): Promise<number> => {
      const { y: out } = await session.run({ ...feeds, [name]: floats(data, ...dims) }, ["y"]);
      return (out.data as Float32Array).reduce((sum, v, i) => sum + v * weights[i]!, 0);
    };
    for (const [i, { data, dims }] of values.entries()) {
      const expected = new Float64Array(data.length);
      for (let k = 0; k < data.length; k++)
        for (const [offset, weight] of STENCIL) {
          const moved = data.slice();
          moved[k] = moved[k]! + offset * STEP;
          expected[k] = expected[k]! + (weight / STEP) * (await loss(`x${i}`, moved, dims));
        }
      const found = compare((all as Record<string, NdArray>)[`g${i}`]!.data as Float32Array, expected, tolerance, true);
      if (!found.pass) return { pass: false, message: `gradient of input ${i} ${found.message}` };
    }
    return { pass: true, message: "all gradients match" };
  } finally {
    await session.close();
  }
}
