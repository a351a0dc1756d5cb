import { type FloatArray, floats } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";

/** Runs a network on rows of a fixed shape, some at a time, and gives the features of each. @throws UserError output/nan */
export async function inBatches<T>(
  items: readonly T[],
  shape: readonly number[],
  {
    batch,
    pixelsOf,
    run,
  }: {
    readonly batch: number;
    readonly pixelsOf: (item: T) => Float32Array | Promise<Float32Array>;
    readonly run: (pixels: FloatArray) => Promise<FloatArray>;
  },
): Promise<Float32Array[]> {
  const length = shape.reduce((a, b) => a * b, 1);
  const out: Float32Array[] = [];
  for (let from = 0; from < items.length; from += batch) {
    const part = items.slice(from, from + batch);
    const data = new Float32Array(part.length * length);
    for (const [i, item] of part.entries()) data.set(await pixelsOf(item), i * length);
    const { data: features } = await run(floats(data, part.length, ...shape));
    const width = features.length / part.length;
    for (let i = 0; i < part.length; i++) {
      const row = features.slice(i * width, (i + 1) * width);
      if (!row.every(Number.isFinite))
        throw new UserError(
          "output/nan",
          `The network gives features of picture ${from + i + 1} that are no finite numbers.`,
          "Its weights are damaged, or of another network: download them again.",
        );
      out.push(row);
    }
  }
  return out;
}
