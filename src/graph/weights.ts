import type { Tensor } from "./tensor.ts";

/** Initial values of a parameter that no checkpoint has. */
export type Init = "zeros" | "ones" | { readonly uniform: number } | { readonly normal: number };

/** Gives the parameter at a path: a checkpoint does, or a recorder of names and shapes. */
export interface WeightSource {
  param(path: string, shape: readonly number[], init: Init): Tensor;
}

/** A path within a checkpoint. `w.at("resnets", 0, "conv1").get("bias", [320])` is `resnets.0.conv1.bias`. */
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
   * The parameter `name` at this path.
   * @throws UserError weights/missing, weights/shape; both name the key
   */
  get(name: string, shape: readonly number[], init: Init = "zeros"): Tensor {
    return this.#source.param([...this.#path, name].join("."), shape, init);
  }
}
