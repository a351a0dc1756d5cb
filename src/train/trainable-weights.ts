import { UserError } from "../core/errors.ts";
import { gaussians } from "../core/random/gaussians.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Init, WeightSource } from "../graph/weights.ts";
import type { Parameter } from "../runtime/node/training/parameter.ts";
import { elementCount, readFloats, type Tensors } from "../weights/index.ts";

interface Wanted {
  readonly tensor: Tensor;
  readonly shape: readonly number[];
  readonly init: Init;
}

/** Weights that training changes: each is an input of the graph and records its initialisation. */
export class TrainableWeights implements WeightSource {
  readonly #prefix: string;
  readonly #wanted: Map<string, Wanted>;

  /** @param prefix of each path, which separates the parts of one run */
  constructor(prefix = "", wanted: Map<string, Wanted> = new Map()) {
    this.#prefix = prefix;
    this.#wanted = wanted;
  }

  /** A part of the same run, with a longer prefix. */
  part(prefix: string): TrainableWeights {
    return new TrainableWeights(`${this.#prefix}${prefix}`, this.#wanted);
  }

  param(path: string, shape: readonly number[], init: Init): Tensor {
    const name = `${this.#prefix}${path}`;
    const known = this.#wanted.get(name);
    if (known !== undefined) return known.tensor;
    const tensor = input(name, shape);
    this.#wanted.set(name, { tensor, shape, init });
    return tensor;
  }

  tensors(): ReadonlyMap<string, Tensor> {
    return new Map([...this.#wanted].map(([name, { tensor }]) => [name, tensor]));
  }

  /** Assigns each weight a range of one long array, vectors last, so that they are adjacent. @param groupOf the optimiser's group for a name */
  layout(groupOf: (name: string) => number): Parameter[] {
    let offset = 0;
    const wanted = [...this.#wanted];
    const isVector = ([, { shape }]: (typeof wanted)[number]): boolean => shape.length === 1;
    return [...wanted.filter((each) => !isVector(each)), ...wanted.filter(isVector)].map(([name, { shape }]) => {
      const length = elementCount(shape);
      const parameter = { name, dims: shape, offset, length, group: groupOf(name) };
      offset += length;
      return parameter;
    });
  }

  /**
   * Fills an array with initial values: those of `from` where it has the name, else the layer's, drawn from a stream that is keyed by
   * seed and name, so that a new layer does not change another's values.
   * @throws UserError as {@link checkStart}
   */
  async initialise(values: Float32Array, parameters: readonly Parameter[], seed: number, from?: Tensors): Promise<void> {
    if (from !== undefined) checkStart(parameters, from);
    for (const { name, offset, length } of parameters) {
      const known = from?.get(name);
      const place = values.subarray(offset, offset + length);
      if (known !== undefined) place.set(await readFloats(known));
      else start(place, this.#wanted.get(name)!.init, seed, name);
    }
  }
}

/**
 * Checks that initial weights have the sizes of the trained ones.
 * @throws UserError train/start-shape
 */
export function checkStart(parameters: readonly Parameter[], from: Tensors): void {
  for (const { name, length, dims } of parameters) {
    const known = from.get(name);
    if (known !== undefined && elementCount(known.shape) !== length)
      throw new UserError(
        "train/start-shape",
        `The initial weight ${name} has shape [${known.shape}], but the trained one has [${dims}].`,
        "Start from weights of the same sizes, or change the sizes in the config.",
      );
  }
}

function start(place: Float32Array, init: Init, seed: number, name: string): void {
  if (init === "zeros") place.fill(0);
  else if (init === "ones") place.fill(1);
  else {
    const random = seededRandom(seed, ...new TextEncoder().encode(name));
    if ("uniform" in init) for (let i = 0; i < place.length; i++) place[i] = random.uniform(-init.uniform, init.uniform);
    else place.set(gaussians(random, place.length).map((v) => v * init.normal));
  }
}
