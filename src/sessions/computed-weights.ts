import { paramOp } from "../graph/ops/source.ts";
import { inOrder } from "../graph/rewrite.ts";
import { is } from "../graph/tensor.ts";
import type { PrepareWeights, PreparingObserver, ToPrepare } from "../runtime/prepare.ts";
import type { Outputs } from "./graphs.ts";
import type { LoadObserver, Prepare } from "./lazy-session.ts";

/** Whether weights of a graph are computed, such as those that LoRA's kin changes. */
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

/** What is told of the preparing of one model. */
export const preparingOf = (model: string, observer: LoadObserver): PreparingObserver => ({
  signal: observer.signal,
  preparing: (done, total) => observer.preparing(model, done, total),
  noted: (notice) => observer.noted(notice),
});
