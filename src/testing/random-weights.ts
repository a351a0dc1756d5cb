import { gaussians } from "../core/random/gaussians.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { elementCount, openTensors, type Tensors, writeSafetensors } from "../weights/index.ts";

/**
 * Writes a file of random weights and opens it.
 * @param change maps the random numbers to others
 */
export async function randomWeights(
  path: string,
  shapes: Readonly<Record<string, readonly number[]>>,
  seed: number,
  change: (values: Float32Array, name: string) => Float32Array = (values) => values,
): Promise<Tensors> {
  const random = seededRandom(seed);
  const tensors = Object.entries(shapes).map(([name, shape]) => ({
    name,
    shape,
    dtype: "F32" as const,
    data: change(gaussians(random, elementCount(shape)), name),
  }));
  await writeSafetensors(path, tensors);
  return (await openTensors(path)).tensors;
}
