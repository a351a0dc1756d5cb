import { dependents, grad, pullBack, sum } from "./grad.ts";
import { after, lateParamOp } from "./ops/after.ts";
import { broadcastTo, concatOp, permuteOp, reshapeOp, sliceOp } from "./ops/layout.ts";
import { upsampleOp } from "./ops/resample.ts";
import { inputOp, paramOp, scalar } from "./ops/source.ts";
import { inOrder } from "./rewrite.ts";
import { is, type Op, type Tensor } from "./tensor.ts";

/**
 * As {@link grad}, but of what lies between `wrt` and the loss only the tensors in `kept` stay in memory. The rest is computed a
 * second time, part by part, when its gradients are: Chen et al. 2016 (arXiv 1604.06174). A part is what one kept tensor needs
 * beyond others. Its second computation awaits the gradient that arrives, and the gradient that it passes on awaits those of its
 * weights, so that one part is in memory at a time whatever order the graph is run in.
 */
export function checkpointedGrad(loss: Tensor, wrt: readonly Tensor[], kept: ReadonlySet<Tensor>): Tensor[] {
  if (loss.shape.length > 0) return grad(loss, wrt); // says what is wrong
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
  /** What stands in it for each end that it begins from. */
  readonly inputs: ReadonlyMap<Tensor, Tensor>;
}

/** What y is computed with from the nearest ends; computed again once dy is there, unless it is the last part of all. */
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

/** Operations that only move numbers: what they move is kept instead of their results. */
const MOVES: ReadonlySet<Op> = new Set([reshapeOp, permuteOp, concatOp, sliceOp, upsampleOp] as Op[]);

/**
 * Tensors that one block of a model makes and another one uses. An operation is of the block whose weight it multiplies by, or of that
 * of its latest input.
 * @param blockOf the block that a weight is of, by its path or the name of its input; undefined for weights outside of blocks
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

/** The path of a weight, frozen or trained, also of one that is turned. */
function pathOf(t: Tensor): string | undefined {
  if (is(t, paramOp) || is(t, lateParamOp)) return t.attrs.path;
  if (is(t, inputOp)) return t.attrs.name;
  return is(t, permuteOp) && !is(t.inputs[0]!, inputOp) ? pathOf(t.inputs[0]!) : undefined;
}
