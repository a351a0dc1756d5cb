import type { NoticeCode } from "../../../core/notice-codes.ts";
import { type ParamAttrs, paramOp } from "../../../graph/ops/source.ts";
import { inOrder } from "../../../graph/rewrite.ts";
import { is, type Tensor } from "../../../graph/tensor.ts";
import { elementCount } from "../../../weights/tensor-entry.ts";
import type { PrepareWeights } from "../../prepare.ts";
import { cacheOptions } from "./cache-folder.ts";
import { prepare } from "./prepare.ts";

/** Parameters, of one byte each, of a model that takes noticeably long to load. */
const PACKED_FROM = 1e8;

/**
 * Prepares weights in the user's cache folder, where large models are cached in their packed form as well.
 * @throws UserError those of prepare and cacheOptions
 */
export const prepareInCache: PrepareWeights = async (what, observer) => {
  const { model, from, outputs } = what;
  const cache = cacheOptions();
  const noteAs = (code: NoticeCode) => (message: string) => observer.noted({ code, message });
  const onProgress = (done: number, total: number): void => observer.preparing(done, total);
  const onWait = (): void =>
    noteAs("cache/waiting")(`Another process is preparing the weights of the ${model}: waiting for them.`);
  const { signal } = observer;
  const over = await prepare(what, { cache, signal, onNotice: noteAs("cache/prepared-again"), onProgress, onWait });
  const bytes = numbersIn(outputs);
  return bytes >= PACKED_FROM
    ? { over, keep: { cache, model, from, bytes, onNotice: (notice) => observer.noted(notice) } }
    : { over };
};

function numbersIn(outputs: Readonly<Record<string, Tensor>>): number {
  const params = inOrder(Object.values(outputs)).filter((t): t is Tensor<ParamAttrs> => is(t, paramOp));
  return params.reduce((sum, { attrs: { entry } }) => sum + elementCount(entry.shape), 0);
}
