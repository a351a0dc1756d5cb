import type { Tensor } from "./tensor.ts";

/** How a parameter starts when no checkpoint has it. */
export type Init = "zeros" | "ones" | { readonly uniform: number } | { readonly normal: number };

/** Answers "the parameter at this path, please": a checkpoint, or a recorder of names and shapes. */
export interface WeightSource {
  param(path: string, shape: readonly number[], init: Init): Tensor;
}

/** A place in a checkpoint. `w.at("resnets", 0, "conv1").get("bias", [320])` is `resnets.0.conv1.bias`. */
export class Weights {
  readonly #source: WeightSource;
  readonly #path: readonly (string | number)[];

  constructor(source: WeightSource, path: readonly (string | number)[] = []) {
    this.#source = source;
    this.#path = path;
  }

  at(...keys: (string | number)[]): Weights {
    return new Weights(this.#source, [...this.#path, ...keys]);
  }

  /**
   * The parameter `name` here.
   * @throws UserError weights/missing or weights/shape, naming the key
   */
  get(name: string, shape: readonly number[], init: Init = "zeros"): Tensor {
    return this.#source.param([...this.#path, name].join("."), shape, init);
  }
}
