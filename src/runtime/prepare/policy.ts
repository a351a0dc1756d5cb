import type { ParamAttrs } from "../../graph/ops/source.ts";
import { elementCount } from "../../weights/index.ts";

/** Changes when the same weights would be prepared otherwise: what was prepared before is then made anew. */
export const POLICY = "int8-1";

/** What is computed for one row of a picture or a prompt only: it costs next to nothing, and all that follows depends on it. */
const FEW_ROWS = /(^|\.)(time_embedding|add_embedding|time_emb_proj|text_projection|visual_projection\w*|fuse_module)\./;
/** Numbers below which a product is over before its rounding is. */
const SMALL = 2 ** 12;

/** Whether a linear layer is computed in 8 bits. */
export const inEightBits = ({ path, entry }: ParamAttrs): boolean =>
  elementCount(entry.shape) >= SMALL && entry.shape.every((n) => n % 8 === 0) && !FEW_ROWS.test(`.${path}`);
