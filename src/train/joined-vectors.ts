import { slice } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Fed, Parameter } from "../runtime/node/training/parameter.ts";

interface JoinedVectors {
  readonly fed: readonly Fed[];
  /** The inputs of the graph for `fed`, in its order. */
  readonly inputs: readonly Tensor[];
  /** For each vector that was joined, the slice of the joint input that replaces it. */
  readonly parts: ReadonlyMap<Tensor, Tensor>;
}

/**
 * Joins adjacent vectors into one input of the graph: each input and each output costs a step some microseconds, however small it is,
 * and a model has more vectors than matrices.
 * @param tensors the inputs of the parameters, by name
 */
export function joinVectors(parameters: readonly Parameter[], tensors: ReadonlyMap<string, Tensor>): JoinedVectors {
  const fed: Fed[] = [];
  const inputs: Tensor[] = [];
  const parts = new Map<Tensor, Tensor>();
  for (const run of runs(parameters)) {
    const { name, dims, offset, length } = run[0]!;
    if (run.length === 1) {
      fed.push({ name, dims, offset, length });
      inputs.push(tensors.get(name)!);
      continue;
    }
    const last = run.at(-1)!;
    const all = { name: `${name} and ${run.length - 1} more`, offset, length: last.offset + last.length - offset };
    const whole = input(all.name, [all.length]);
    for (const part of run) parts.set(tensors.get(part.name)!, slice(whole, 0, part.offset - offset, part.length));
    fed.push({ ...all, dims: [all.length] });
    inputs.push(whole);
  }
  return { fed, inputs, parts };
}

/** Parameters in their order: adjacent vectors grouped, every other one alone. */
function runs(parameters: readonly Parameter[]): Parameter[][] {
  const found: Parameter[][] = [];
  for (const parameter of parameters) {
    const before = found.at(-1)?.at(-1);
    const joins = before?.dims.length === 1 && parameter.dims.length === 1 && before.offset + before.length === parameter.offset;
    if (joins) found.at(-1)!.push(parameter);
    else found.push([parameter]);
  }
  return found;
}
