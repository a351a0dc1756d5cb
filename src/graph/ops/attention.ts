import { type Dim, sameDim } from "../dim.ts";
import { apply, fixedSize, type Op, shapeText, size, type Tensor } from "../tensor.ts";
import { add, mul, relu, sub } from "./elementwise.ts";
import { permute, reshape } from "./layout.ts";
import { matmul } from "./matrix.ts";
import { softmax } from "./normalise.ts";
import { range } from "./source.ts";

export interface AttentionAttrs {
  readonly heads: number;
  /** Each position sees only itself and earlier ones. */
  readonly causal: boolean;
}

/**
 * Scaled dot-product attention: Vaswani et al. 2017 (arXiv 1706.03762), section 3.2. Inputs are q, k, v, and a bias where there is one, see
 * {@link biasedAttention}.
 */
export const attentionOp: Op<AttentionAttrs> = {
  name: "attention",
  shape: ([q, k, v], { heads }) => {
    const fits = sameDim(size(q!, -1), size(k!, -1)) && sameDim(size(k!, -2), size(v!, -2)) && fixedSize(q!, -1) % heads === 0;
    if (!fits)
      throw new TypeError(`attention of ${heads} heads does not fit ${[q!, k!, v!].map((t) => shapeText(t.shape)).join(", ")}`);
    return [...q!.shape.slice(0, -1), size(v!, -1)];
  },
  expand: ([q, k, v, bias], { heads, causal }) => {
    const split = (x: Tensor): Tensor =>
      permute(reshape(x, [size(x, 0), size(x, 1), heads, fixedSize(x, 2) / heads]), [0, 2, 1, 3]);
    const scale = 1 / Math.sqrt(fixedSize(q!, -1) / heads);
    const products = matmul(split(q!), split(k!), { transB: true, scale });
    const scores = bias === undefined ? products : add(products, bias);
    const seen = softmax(causal ? add(scores, causalMask(size(q!, 1), size(k!, 1))) : scores);
    const mixed = permute(matmul(seen, split(v!)), [0, 2, 1, 3]);
    return reshape(mixed, [size(q!, 0), size(q!, 1), size(v!, 2)]);
  },
};

/** Added to a score once for each position that its key is later than its query: the softmax makes it 0. */
const HIDDEN = -1e30;
function causalMask(queries: Dim, keys: Dim): Tensor {
  const later = sub(range(keys), reshape(range(queries), [queries, 1]));
  return mul(relu(later), HIDDEN);
}

/** q [B, S, heads·d], k and v [B, T, heads·d]: [B, S, heads·d]. */
export const attention = (q: Tensor, k: Tensor, v: Tensor, attrs: AttentionAttrs): Tensor => apply(attentionOp, [q, k, v], attrs);

/**
 * Attention whose scores are changed before the softmax: a mask, where the bias is a large negative number.
 * @param q [B, S, heads·d]
 * @param k, v [B, T, heads·d]
 * @param bias [B or 1, heads or 1, S, T]
 * @returns [B, S, heads·d]
 */
export const biasedAttention = (q: Tensor, k: Tensor, v: Tensor, bias: Tensor, attrs: AttentionAttrs): Tensor =>
  apply(attentionOp, [q, k, v, bias], attrs);
