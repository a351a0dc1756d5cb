import { UserError } from "../core/errors.ts";
import type { TensorEntry, Tensors } from "../weights/tensor-entry.ts";
import { permute } from "./ops/layout.ts";
import { param } from "./ops/source.ts";
import { shapeText, type Tensor } from "./tensor.ts";
import type { WeightSource } from "./weights.ts";

/** Weights from files. Nothing is read: a parameter is a place in a file, and its name and shape are checked. */
export class Checkpoint implements WeightSource {
  readonly #tensors: Tensors;
  readonly #what: string;
  readonly #params = new Map<string, Tensor>();

  /** @param what the component's name, for error messages */
  constructor(tensors: Tensors, what: string) {
    this.#tensors = tensors;
    this.#what = what;
  }

  param(path: string, shape: readonly number[]): Tensor {
    const known = this.#params.get(path);
    if (known !== undefined) return known;
    const entry = this.#tensors.get(path);
    if (entry === undefined)
      throw new UserError(
        "weights/missing",
        `${this.#what} has no weight "${path}".`,
        "The file is incomplete or of another model: download it again, or check that its config.json belongs to it.",
      );
    if (entry.shape.length !== shape.length || entry.shape.some((d, i) => d !== shape[i]))
      throw new UserError(
        "weights/shape",
        `The weight "${path}" of ${this.#what} is ${shapeText(entry.shape)}, and the model needs ${shapeText(shape)}.`,
        "The weights belong to another model or to another config.json: use files that were published together.",
      );
    const tensor = entry.transposed === true ? permute(param(path, asStored(entry)), [1, 0]) : param(path, entry);
    this.#params.set(path, tensor);
    return tensor;
  }

  /** Names of weights that no model function has asked for. */
  unused(): string[] {
    return [...this.#tensors.keys()].filter((name) => !this.#params.has(name));
  }
}

/** A tensor [a, b] that is stored as [b, a], as the matrix [b, a] that its bytes are. */
function asStored({ transposed: _, ...entry }: TensorEntry): TensorEntry {
  return { ...entry, shape: entry.shape.toReversed() };
}
