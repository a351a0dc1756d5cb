import { afterOp } from "./ops/after.ts";
import { reshapeOp } from "./ops/layout.ts";
import { constantOp, inputOp, paramOp } from "./ops/source.ts";
import { inOrder } from "./rewrite.ts";
import type { Op, Tensor } from "./tensor.ts";

/** Operations that pass on their first input, at most in another shape: they take no memory of their own. */
const VIEWS: ReadonlySet<Op> = new Set([reshapeOp, afterOp] as Op[]);
const SOURCES: ReadonlySet<Op> = new Set([inputOp, paramOp, constantOp] as Op[]);
const BYTES = { f32: 4, i64: 8 } as const;

/**
 * Peak bytes of computed values when `outputs` are computed one operation after the other and each value is released after its last use.
 * Inputs, stored weights, the outputs themselves and scratch memory inside operations are not counted.
 * @throws TypeError if a size is symbolic
 */
export function liveBytes(outputs: readonly Tensor[]): number {
  const order = inOrder(outputs);
  const owners = new Map<Tensor, Tensor>();
  for (const t of order) owners.set(t, VIEWS.has(t.op) ? owners.get(t.inputs[0]!)! : t);
  const lastUse = new Map<Tensor, number>();
  for (const [i, t] of order.entries()) for (const x of [t, ...t.inputs]) lastUse.set(owners.get(x)!, i);
  const ending = new Map<number, Tensor[]>();
  for (const [t, i] of lastUse) ending.set(i, [...(ending.get(i) ?? []), t]);
  const given = new Set(outputs.map((t) => owners.get(t)!));
  let [now, most] = [0, 0];
  for (const [i, t] of order.entries()) {
    if (owners.get(t) === t) now += bytesOf(t, given);
    most = Math.max(most, now);
    for (const gone of ending.get(i) ?? []) now -= bytesOf(gone, given);
  }
  return most;
}

function bytesOf(t: Tensor, given: ReadonlySet<Tensor>): number {
  if (SOURCES.has(t.op) || given.has(t)) return 0;
  return t.shape.reduce<number>((product, d) => {
    if (typeof d !== "number") throw new TypeError(`the size ${d.key} is no number`);
    return product * d;
  }, BYTES[t.dtype]);
}
