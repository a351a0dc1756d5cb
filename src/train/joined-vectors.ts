import { slice } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Fed, Parameter } from "../runtime/training/parameter.ts";

interface JoinedVectors {
  readonly fed: readonly Fed[];
  /** The inputs of the graph for `fed`, in its order. */
  readonly inputs: readonly Tensor[];
  /** What stands for the vectors that are parts of one input now. */
  readonly parts: ReadonlyMap<Tensor, Tensor>;
}

/**
 * Vectors that lie side by side become one input of the graph: each input and each output costs a step some microseconds, however small it is,
 * and a model has more vectors than matrices.
 * @param tensors the inputs of the parameters, by name
 */
export function joinVectors(parameters: readonly Parameter[], tensors: ReadonlyMap<string, Tensor>): JoinedVectors {
  const fed: Fed[] = [];
  const inputs: Tensor[] = [];
  const parts = new Map<Tensor, Tensor>();
  for (let i = 0; i < parameters.length; ) {
    const run = parameters.slice(i, i + runLength(parameters, i));
    const { name, dims, offset } = run[0]!;
    const length = run.reduce((sum, parameter) => sum + parameter.length, 0);
    const tensor = run.length === 1 ? tensors.get(name)! : input(`${name} and ${run.length - 1} more`, [length]);
    if (run.length > 1)
      for (const part of run) parts.set(tensors.get(part.name)!, slice(tensor, 0, part.offset - offset, part.length));
    fed.push(
      run.length === 1
        ? { name, dims, offset, length }
        : { name: `${name} and ${run.length - 1} more`, dims: [length], offset, length },
    );
    inputs.push(tensor);
    i += run.length;
  }
  return { fed, inputs, parts };
}

/** How many vectors lie side by side from there on; 1 where there is none. */
function runLength(parameters: readonly Parameter[], from: number): number {
  const end = parameters.findIndex(
    ({ dims, offset }, i) =>
      i >= from && (dims.length !== 1 || (i > from && offset !== parameters[i - 1]!.offset + parameters[i - 1]!.length)),
  );
  return Math.max((end < 0 ? parameters.length : end) - from, 1);
}
