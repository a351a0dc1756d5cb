import { param } from "./ops/source.ts";
import type { Tensor } from "./tensor.ts";
import type { Init, WeightSource } from "./weights.ts";

export interface Recorded {
  readonly shape: readonly number[];
  readonly init: Init;
}

/** Records which parameters a model asks for, in order: names, shapes and initial values. Needs no weights. */
export class Recorder implements WeightSource {
  readonly params = new Map<string, Recorded>();

  param(path: string, shape: readonly number[], init: Init): Tensor {
    this.params.set(path, { shape, init });
    return param(path, { name: path, dtype: "F32", shape, source: { kind: "bytes", bytes: new Uint8Array() } });
  }
}
