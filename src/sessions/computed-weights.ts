import { paramOp } from "../graph/ops/source.ts";
import { inOrder } from "../graph/rewrite.ts";
import { is } from "../graph/tensor.ts";
import type { PrepareWeights, PreparingObserver, ToPrepare } from "../runtime/prepare.ts";
import { NO_PAIRS, type Outputs } from "./graphs.ts";
import type { LoadObserver, Prepare } from "./lazy-session.ts";

/** Whether weights of a graph are computed, such as those that LoRA's kin changes, and numbers in GGUF's blocks. */
export const hasComputed = (outputs: Outputs): boolean =>
  inOrder(Object.values(outputs)).some((t) => is(t, paramOp) && t.attrs.entry.source.kind === "computed");

/**
 * How a model with computed weights becomes its graph: they are computed once, and kept.
 * @param outputs a graph over the same weights
 * @param compute of the runtime
 */
export const withComputed =
  <Name extends string>(whole: ToPrepare, outputs: Outputs<Name>, compute: PrepareWeights): Prepare<Name> =>
  async (observer) => ({ outputs: (await compute(whole, preparingOf(whole.model, observer))).over(outputs) });

/**
 * A model in which what is still to be computed is computed after all else, such as a LoRA's branches. A graph without it is returned as it is.
 * @param from the user's name of the file or folder that the weights come from
 * @param compute of the runtime
 */
export function withAllComputed<Name extends string>(
  { model, from }: Pick<ToPrepare, "model" | "from">,
  ready: Outputs<Name> | Prepare<Name>,
  compute: PrepareWeights,
): Outputs<Name> | Prepare<Name> {
  if (typeof ready !== "function" && !hasComputed(ready)) return ready;
  return async (observer) => {
    const prepared = typeof ready === "function" ? await ready(observer) : { outputs: ready };
    if (!hasComputed(prepared.outputs)) return prepared;
    const rest = { model, from, outputs: prepared.outputs, pairs: NO_PAIRS };
    return { ...prepared, ...(await withComputed(rest, prepared.outputs, compute)(observer)) };
  };
}

/** What is told of the preparing of one model. */
export const preparingOf = (model: string, observer: LoadObserver): PreparingObserver => ({
  signal: observer.signal,
  preparing: (done, total) => observer.preparing(model, done, total),
  noted: (notice) => observer.noted(notice),
});
