import type { LoraPatch } from "./lora-match.ts";
import type { LoraPart, Parts } from "./lora-methods/method.ts";
import { changeWeight } from "./lora-methods.ts";
import { readFloats } from "./read-tensor.ts";
import { elementCount, type TensorEntry } from "./tensor-entry.ts";

export interface PatchWithStrength {
  readonly patch: LoraPatch;
  readonly strength: number;
}

/** Version of how weights are changed: another one when the same change is to give other numbers, so that kept ones are computed anew. */
const VERSION = 1;

/** A weight or a bias with patches in their order, in float32: nothing is read or computed until its bytes are asked for. */
export function changedWeight(entry: TensorEntry, patches: readonly PatchWithStrength[]): TensorEntry {
  const { name, shape } = entry;
  const recipe = JSON.stringify(
    patches.map(({ patch: { method, parts, alpha, magnitude }, strength }) => [
      ...[VERSION, method.name, Object.keys(parts), alpha, strength],
      ...(magnitude ? [magnitude.rows] : []),
    ]),
  );
  const of = [entry, ...patches.flatMap(({ patch }) => [...Object.values(patch.parts), patch.magnitude?.entry ?? []].flat())];
  const compute = async (): Promise<Uint8Array> => {
    let values = await readFloats(entry);
    for (const { patch, strength } of patches) {
      const parts: Record<string, LoraPart> = {};
      for (const [part, own] of Object.entries(patch.parts)) parts[part] = await read(own);
      const magnitude = patch.magnitude && { magnitude: await read(patch.magnitude.entry), rows: patch.magnitude.rows };
      values = changeWeight(
        patch.method,
        parts satisfies Parts,
        { shape, values },
        { strength, alpha: patch.alpha, ...magnitude },
      );
    }
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  };
  return {
    name,
    dtype: "F32",
    shape,
    source: { kind: "computed", length: 4 * elementCount(shape), recipe, of, compute: keptOnce(compute) },
  };
}

const read = async (entry: TensorEntry): Promise<LoraPart> => ({ shape: entry.shape, values: await readFloats(entry) });

let last: { readonly compute: () => Promise<Uint8Array>; readonly bytes: Promise<Uint8Array> } | undefined;

/** What was computed last is kept until something else is: who reads some rows at a time does not have it computed for each. */
const keptOnce = (compute: () => Promise<Uint8Array>) => async (): Promise<Uint8Array> => {
  if (last?.compute !== compute) last = { compute, bytes: compute() };
  const { bytes } = last;
  try {
    return await bytes;
  } catch (error) {
    last = undefined;
    throw error;
  }
};
