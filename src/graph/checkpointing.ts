import { dependents, grad, pullBack, sum } from "./grad.ts";
import { after, widenedParamOp } from "./ops/after.ts";
import { broadcastTo, concatOp, permuteOp, reshapeOp, sliceOp } from "./ops/layout.ts";
import { upsampleOp } from "./ops/resample.ts";
import { inputOp, paramOp, scalar } from "./ops/source.ts";
import { inOrder } from "./rewrite.ts";
import { is, type Op, type Tensor } from "./tensor.ts";

/**
 * {@link grad} with gradient checkpointing: Chen et al. 2016 (arXiv 1604.06174). Of the values between `wrt` and the loss only those in `kept`
 * stay in memory; the rest is computed again, part by part, when its gradients are. A part is what computes one kept tensor from the kept
 * tensors before it:
 *
 *     forward    kept -> part -> kept -> part -> loss
 *     backward   compute the part again <- dy arrives; gradients of its weights; dx to the part before
 *
 * The recomputation waits for dy, and dx waits for the gradients of the part's weights, so that one part is in memory at a time, in whatever
 * order the runtime takes the graph.
 */
export function checkpointedGrad(loss: Tensor, wrt: readonly Tensor[], kept: ReadonlySet<Tensor>): Tensor[] {
  if (loss.shape.length > 0) return grad(loss, wrt); // throws the right error
  const order = inOrder([loss]);
  const wanted = dependents(order, wrt);
  const targets = new Set(wrt);
  const ends = new Set(order.filter((t) => t !== loss && (kept.has(t) || targets.has(t) || isSource(t))));
  const parts = new Map<Tensor, Tensor[]>([[loss, [scalar(1)]]]);
  for (const y of [loss, ...[...ends].reverse()]) {
    const found = parts.get(y);
    if (found === undefined || targets.has(y)) continue;
    parts.delete(y);
    const part = partOf(y, ends, sum(found), { targets, again: y !== loss });
    const reached = [...part.inputs.keys()].filter((x) => wanted.has(x));
    const gradients = pullBack(
      part.y,
      sum(found),
      reached.map((x) => part.inputs.get(x)!),
      [...part.inputs.values()],
    );
    const ofTargets = gradients.filter((dx, i) => dx !== undefined && targets.has(reached[i]!)) as Tensor[];
    for (const [i, x] of reached.entries()) {
      const dx = gradients[i];
      if (dx !== undefined) parts.set(x, [...(parts.get(x) ?? []), targets.has(x) ? dx : after(dx, ...ofTargets)]);
    }
  }
  return wrt.map((x) => {
    const found = parts.get(x);
    return found === undefined ? broadcastTo(scalar(0), x.shape) : sum(found);
  });
}

const isSource = (t: Tensor): boolean => t.inputs.length === 0;

interface Part {
  readonly y: Tensor;
  /** For each end that the part begins from, the tensor that stands for it in the part. */
  readonly inputs: ReadonlyMap<Tensor, Tensor>;
}

/** The part that computes y from the nearest `ends`; with `again`, a copy that is computed only once dy is there. */
function partOf(
  y: Tensor,
  ends: ReadonlySet<Tensor>,
  dy: Tensor,
  { targets, again }: { readonly targets: ReadonlySet<Tensor>; readonly again: boolean },
): Part {
  const others = new Set(ends);
  others.delete(y);
  const inner = inOrder([y], new Set(others));
  const stays = (x: Tensor): boolean => !again || isSource(x) || targets.has(x);
  const inputs = new Map(
    inner.flatMap((t) => t.inputs.flatMap((x) => (others.has(x) ? [[x, stays(x) ? x : after(x, dy)] as const] : []))),
  );
  if (!again) return { y, inputs };
  const copies = new Map(inputs);
  for (const t of inner) copies.set(t, { ...t, inputs: t.inputs.map((x) => copies.get(x)!) });
  return { y: copies.get(y)!, inputs };
}

/** Operations that only move numbers: their inputs are kept instead of their results. */
const MOVES: ReadonlySet<Op> = new Set([reshapeOp, permuteOp, concatOp, sliceOp, upsampleOp] as Op[]);

/**
 * Tensors that one block of a model computes and another one uses. An operation belongs to the block of the weight that it multiplies by, or
 * else to that of the input computed last.
 * @param blockOf the block of a weight, from its path or the name of its input; undefined for weights outside of blocks
 */
export function betweenBlocks(outputs: readonly Tensor[], blockOf: (path: string) => string | undefined): Set<Tensor> {
  const kept = new Set<Tensor>();
  const blocks = new Map<Tensor, string | undefined>();
  const keep = (t: Tensor): void => {
    if (MOVES.has(t.op)) for (const x of t.inputs) keep(x);
    else if (!isSource(t)) kept.add(t);
  };
  const places = new Map(inOrder(outputs).map((t, place) => [t, place]));
  for (const t of places.keys()) {
    if (isSource(t) || pathOf(t) !== undefined) continue;
    const own = t.inputs.flatMap((x) => blockOf(pathOf(x) ?? "") ?? []);
    const values = t.inputs.filter((x) => blocks.has(x));
    const latest = values.reduce<Tensor | undefined>((a, b) => (a && places.get(a)! > places.get(b)! ? a : b), undefined);
    const block = own[0] ?? (latest && blocks.get(latest));
    blocks.set(t, block);
    if (!MOVES.has(t.op)) for (const x of values) if (blocks.get(x) !== block) keep(x);
  }
  return kept;
}

/** The path of a weight, frozen or trained, transposed or not. */
function pathOf(t: Tensor): string | undefined {
  if (is(t, paramOp) || is(t, widenedParamOp)) return t.attrs.path;
  if (is(t, inputOp)) return t.attrs.name;
  return is(t, permuteOp) && !is(t.inputs[0]!, inputOp) ? pathOf(t.inputs[0]!) : undefined;
}
