import { floats } from "../core/array.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { namedDim } from "../graph/dim.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Tensors } from "../weights/index.ts";
import { IDENTITY_ATTRIBUTES, predictedLabels, SCENE_ATTRIBUTES } from "./attributes.ts";
import { SIDE } from "./configs.ts";
import { pictureValues } from "./data-set.ts";
import { judge } from "./judge.ts";

/** The judge's output for one picture. */
export interface Verdict {
  /** Embedding of the person, of length 1. */
  readonly embedding: Float32Array;
  /** Predicted value of each attribute of the person, as an index. */
  readonly identity: Readonly<Record<string, number>>;
  readonly scene: Readonly<Record<string, number>>;
}

export type Judge = (pictures: readonly Uint8Array[]) => Promise<Verdict[]>;

const AT_ONCE = 64;

/** Opens the trained judge, for pictures of [SIDE, SIDE, 3] bytes. */
export async function openJudge(runtime: Runtime, weights: Tensors): Promise<Judge> {
  const x = input("pictures", [namedDim("batch"), 3, SIDE, SIDE]);
  const { embedding, identity, scene } = judge(x, new Weights(new Checkpoint(weights, "judge")));
  const session = await runtime.load({ embedding, identity, scene });
  return async (pictures) => {
    const verdicts: Verdict[] = [];
    for (let from = 0; from < pictures.length; from += AT_ONCE) {
      const some = pictures.slice(from, from + AT_ONCE);
      const values = new Float32Array(some.length * 3 * SIDE * SIDE);
      for (const [i, picture] of some.entries()) pictureValues({ pictures: picture }, 0, values, i * 3 * SIDE * SIDE);
      const out = await session.run({ pictures: floats(values, some.length, 3, SIDE, SIDE) });
      const row = (name: "embedding" | "identity" | "scene", i: number): Float32Array => {
        const { data, dims } = out[name];
        return (data as Float32Array).slice(i * dims[1]!, (i + 1) * dims[1]!);
      };
      for (const i of some.keys())
        verdicts.push({
          embedding: row("embedding", i),
          identity: predictedLabels(IDENTITY_ATTRIBUTES, row("identity", i)),
          scene: predictedLabels(SCENE_ATTRIBUTES, row("scene", i)),
        });
    }
    return verdicts;
  };
}
