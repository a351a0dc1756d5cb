import type { TensorEntry } from "../weights/tensor-entry.ts";
import { add, mul } from "./ops/elementwise.ts";
import { reshape } from "./ops/layout.ts";
import { matmul } from "./ops/matrix.ts";
import { param, paramOp } from "./ops/source.ts";
import type { Rule } from "./rewrite.ts";
import { is, type Tensor } from "./tensor.ts";

/** A low-rank change of one weight: Hu et al. 2021 (arXiv 2106.09685). */
export interface LoraPair {
  readonly down: TensorEntry; // [rank, in] or [rank, in, k, k]
  readonly up: TensorEntry; // [out, rank] or [out, rank, 1, 1]
  /** alpha / rank, times the strength that the user asks for. */
  readonly scale: number;
}

/**
 * W becomes W + Σ scale · up·down for each weight that has pairs. The sum is made of constants, so the runtime computes it
 * once, when it loads the model.
 * @param pairs by the weight's path, such as `down_blocks.1.attentions.0.proj_in.weight`
 */
export const mergeLora =
  (pairs: ReadonlyMap<string, readonly LoraPair[]>): Rule =>
  (weight) => {
    if (!is(weight, paramOp)) return undefined;
    const { path } = weight.attrs;
    return pairs.get(path)?.reduce<Tensor>((sum, { down, up, scale }, i) => {
      const rank = down.shape[0]!;
      const flatDown = reshape(param(`${path}:lora${i}.down`, down), [rank, -1]);
      const flatUp = reshape(param(`${path}:lora${i}.up`, up), [-1, rank]);
      return add(sum, mul(reshape(matmul(flatUp, flatDown), weight.shape), scale));
    }, weight);
  };
