import type { Tensor } from "./tensor.ts";

/** Returns a replacement for a tensor whose inputs are already rewritten, or nothing to keep it. */
export type Rule = (t: Tensor) => Tensor | undefined;

/**
 * Every tensor that `outputs` depend on, inputs before their users. Iterative: graphs are deeper than the call stack.
 * @param known tensors to leave out, with everything that only they need
 */
export function inOrder(outputs: readonly Tensor[], known: { has(t: Tensor): boolean } = new Set()): Tensor[] {
  const order: Tensor[] = [];
  const done = new Set<Tensor>();
  const isDone = (t: Tensor): boolean => done.has(t) || known.has(t);
  const stack: Tensor[] = [...outputs].reverse();
  while (stack.length > 0) {
    const t = stack.at(-1)!;
    const open = isDone(t) ? [] : t.inputs.filter((x) => !isDone(x));
    if (open.length > 0) {
      stack.push(...open.reverse());
      continue;
    }
    stack.pop();
    if (!isDone(t)) order.push(t);
    done.add(t);
  }
  return order;
}

/** {@link rewrite} for named outputs. */
export function rewriteNamed<Name extends string>(
  outputs: Readonly<Record<Name, Tensor>>,
  rule: Rule,
): Readonly<Record<Name, Tensor>> {
  const names = Object.keys(outputs) as Name[];
  const changed = rewrite(
    names.map((name) => outputs[name]),
    rule,
  );
  return Object.fromEntries(names.map((name, i) => [name, changed[i]!])) as Record<Name, Tensor>;
}

/** Rebuilds the graph below `outputs`, applying `rule` once to each tensor. Shared tensors stay shared. */
export function rewrite(outputs: readonly Tensor[], rule: Rule): Tensor[] {
  const done = new Map<Tensor, Tensor>();
  for (const t of inOrder(outputs)) {
    const inputs = t.inputs.map((x) => done.get(x)!);
    const copy = inputs.every((x, i) => x === t.inputs[i]) ? t : { ...t, inputs };
    done.set(t, rule(copy) ?? copy);
  }
  return outputs.map((t) => done.get(t)!);
}
