import { type FloatArray, floats } from "../core/array.ts";
import { add } from "../graph/ops/elementwise.ts";
import { reshape } from "../graph/ops/layout.ts";
import { linear } from "../graph/ops/matrix.ts";
import { reduceMean } from "../graph/ops/reduce.ts";
import { fixedSize, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";

/** How ID images become tokens in the prompt: the paper's way and its alternatives (arXiv 2312.04461, section 5.3). */
export type Embedding = "stacked" | "average" | "linear";

export const MOST_ID_IMAGES = 4;
export const LINEAR_WEIGHT = "id_linear.weight";

/**
 * Maps the tokens of MOST_ID_IMAGES images to one by a learned linear layer. The paper only names the layer, so it is taken to be
 * the widest one: each number of the result may depend on all numbers of all images. Fewer images are repeated
 * in turn. The layer starts as the average and learns a correction.
 * @param tokens [B, MOST_ID_IMAGES, D]
 * @param w holds `id_linear.weight` [D, MOST_ID_IMAGES · D]
 * @returns [B, D]
 */
export function linearToken(tokens: Tensor, w: Weights): Tensor {
  const [batch, width] = [tokens.shape[0]!, fixedSize(tokens, 2)];
  const row = reshape(tokens, [batch, MOST_ID_IMAGES * width]);
  return add(reduceMean(tokens, [1]), linear(row, w.get(LINEAR_WEIGHT, [width, MOST_ID_IMAGES * width], "zeros")));
}

/** Index of the image at each of MOST_ID_IMAGES places, if there are `count` images. */
export const inTurn = (count: number): number[] => Array.from({ length: MOST_ID_IMAGES }, (_, i) => i % count);

/** Mean of the ID tokens of a person's images. @param tokens [N, D] */
export function averageToken({ data, dims }: FloatArray): FloatArray {
  const [count, width] = dims as [number, number];
  const out = new Float32Array(width);
  for (let n = 0; n < count; n++) for (let i = 0; i < width; i++) out[i] = out[i]! + data[n * width + i]! / count;
  return floats(out, 1, width);
}

/**
 * Applies a trained embedding to the ID tokens [N, D] of a person's images, for the pipeline's `idTokens`.
 * @param weight values of LINEAR_WEIGHT, for "linear"
 * @returns [N, D] for "stacked", else [1, D]
 */
export function composeTokens(embedding: Embedding, tokens: FloatArray, weight?: Float32Array): FloatArray {
  if (embedding === "stacked") return tokens;
  if (embedding === "average") return averageToken(tokens);
  if (weight === undefined) throw new TypeError("the linear embedding has a weight");
  const [count, width] = tokens.dims as [number, number];
  const row = Float32Array.from(inTurn(count).flatMap((n) => [...tokens.data.subarray(n * width, (n + 1) * width)]));
  const { data } = averageToken(floats(row, MOST_ID_IMAGES, width));
  const out = data.map((mean, i) => row.reduce((sum, v, j) => sum + v * weight[i * row.length + j]!, mean));
  return floats(out, 1, width);
}
