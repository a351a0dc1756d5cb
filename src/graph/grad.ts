import { sameDim } from "./dim.ts";
import { add } from "./ops/elementwise.ts";
import { broadcastTo, concat, padOp } from "./ops/layout.ts";
import { scalar } from "./ops/source.ts";
import { inOrder } from "./rewrite.ts";
import { expansion, is, shapeText, type Tensor } from "./tensor.ts";

/**
 * d(loss)/d(x) for each x in `wrt`, as tensors of the same graph (reverse mode); zeros where the loss does not depend on x.
 * Only tensors between `wrt` and the loss get a gradient.
 * @param loss a single number
 * @throws TypeError if an operation between them has neither a gradient nor an expansion
 */
export function grad(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (loss.shape.length > 0) throw new TypeError(`a loss is one number, and this one is ${shapeText(loss.shape)}`);
  return pullBack(loss, scalar(1), wrt).map((dx, i) => dx ?? broadcastTo(scalar(0), wrt[i]!.shape));
}

/** Sum of dy · dy/dx for each x in `wrt`; undefined where y does not depend on it. */
export function pullBack(y: Tensor, dy: Tensor, wrt: readonly Tensor[], given: readonly Tensor[] = []): (Tensor | undefined)[] {
  const order = inOrder([y], new Set(given));
  const wanted = dependents(order, wrt);
  const parts = new Map<Tensor, Tensor[]>([[y, [dy]]]);
  const totals = new Map<Tensor, Tensor>();
  for (const t of [...order.reverse(), ...given]) {
    const found = wanted.has(t) ? parts.get(t) : undefined;
    if (found === undefined) continue;
    const total = sum(found);
    totals.set(t, total);
    if (given.includes(t)) continue;
    inputGradients(t, total, wanted).forEach((dx, i) => {
      if (dx === undefined) return;
      const x = t.inputs[i]!;
      const known = parts.get(x);
      if (known === undefined) parts.set(x, [dx]);
      else known.push(dx);
    });
  }
  return wrt.map((x) => totals.get(x));
}

/** `wrt`, and the tensors of `order` that depend on one of them. */
export function dependents(order: readonly Tensor[], wrt: readonly Tensor[]): Set<Tensor> {
  const found = new Set(wrt);
  for (const t of order) if (t.inputs.some((x) => found.has(x))) found.add(t);
  return found;
}

function inputGradients(y: Tensor, dy: Tensor, wanted: ReadonlySet<Tensor>): (Tensor | undefined)[] {
  if (y.inputs.length === 0 || !y.inputs.some((x) => wanted.has(x))) return [];
  if (y.op.gradient !== undefined) return y.op.gradient(dy, y).map((dx, i) => (wanted.has(y.inputs[i]!) ? dx?.() : undefined));
  if (y.op.expand === undefined) throw new TypeError(`"${y.op.name}" has neither a gradient nor an expansion`);
  const distinct = [...new Set(y.inputs)];
  const found = pullBack(
    expansion(y),
    dy,
    distinct.filter((x) => wanted.has(x)),
    distinct,
  );
  const byInput = new Map(distinct.filter((x) => wanted.has(x)).map((x, i) => [x, found[i]]));
  // an input that occurs twice has its whole gradient once
  return y.inputs.map((x, i) => (y.inputs.indexOf(x) === i ? byInput.get(x) : undefined));
}

/** The sum of gradients. Slices that lie side by side, as of a tensor that was cut up, are concatenated instead of padded and added. */
export function sum(parts: readonly Tensor[]): Tensor {
  return joined(parts) ?? parts.reduce((total, part) => add(total, part));
}

function joined(parts: readonly Tensor[]): Tensor | undefined {
  if (parts.length < 2) return undefined;
  const pieces = parts.flatMap((t) => (is(t, padOp) ? [t] : []));
  const { axis, size } = pieces[0]?.attrs ?? { axis: 0, size: 0 };
  if (pieces.length < parts.length || pieces.some((t) => t.attrs.axis !== axis)) return undefined;
  pieces.sort((a, b) => a.attrs.start - b.attrs.start);
  let end: number | undefined = 0;
  for (const t of pieces) {
    const width = t.inputs[0]!.shape[axis]!;
    if (t.attrs.start !== end || typeof width !== "number") return undefined;
    end += width;
  }
  if (!sameDim(end, size)) return undefined;
  return concat(
    pieces.map((t) => t.inputs[0]!),
    axis,
  );
}
