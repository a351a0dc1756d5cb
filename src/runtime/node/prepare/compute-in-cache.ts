import { rm } from "node:fs/promises";
import { type ParamAttrs, param, paramOp } from "../../../graph/ops/source.ts";
import { inOrder, rewriteNamed } from "../../../graph/rewrite.ts";
import { is, type Tensor } from "../../../graph/tensor.ts";
import { fingerprint } from "../../../weights/fingerprint.node.ts";
import {
  byteLength,
  openTensors,
  readRowMajor,
  type TensorEntry,
  type Tensors,
  type TensorToWrite,
  writeSafetensors,
} from "../../../weights/index.ts";
import type { PrepareWeights } from "../../prepare.ts";
import { cacheOptions, evict, openFolder, preparedIn, readRecord, touch, weightsPath, writeRecord } from "./cache-folder.ts";
import { openPrepared } from "./prepare.ts";

/**
 * Computes the weights of a model that no file has, such as those that LoRA's kin changes or those in GGUF's blocks, tensor by tensor into a file in the user's cache
 * folder that is named for what they are computed from. ONNX Runtime reads them from there as it does those of any file.
 * @throws UserError cache/folder, disk/full; what the signal was aborted with
 */
export const computeInCache: PrepareWeights = async ({ model, from, outputs }, observer) => {
  const wanted = computedIn(outputs);
  if (wanted.length === 0) return { over: (graph) => graph };
  const cache = cacheOptions();
  const { folder } = cache;
  const { signal } = observer;
  const key = (await fingerprint(wanted.map(({ path, entry }) => ({ ...entry, name: path })))).slice(0, 40);
  await openFolder(folder);
  const total = wanted.reduce((sum, { entry }) => sum + byteLength(entry), 0);
  const find = () =>
    openPrepared(folder, key, { onNotice: (message) => observer.noted({ code: "cache/prepared-again", message }) });

  async function make(): Promise<Tensors> {
    const path = weightsPath(folder, key);
    let done = 0;
    const tensors = wanted.map(
      ({ path: name, entry }): TensorToWrite => ({
        name,
        dtype: entry.dtype,
        shape: entry.shape,
        data: async () => {
          signal?.throwIfAborted();
          const bytes = await readRowMajor(entry);
          done += bytes.byteLength;
          observer.preparing(done, total);
          return bytes;
        },
      }),
    );
    try {
      await writeSafetensors(path, tensors, { model }, { asGiven: true });
      const written = await openTensors(path);
      const content = await fingerprint([...written.tensors.values()]);
      await writeRecord(folder, {
        key,
        model,
        precision: wanted.every(({ entry }) => storedIn(entry)) ? "f32, from blocks" : "f32, LoRAs merged",
        from,
        content,
      });
      await evict(cache, new Set([key]));
      return written.tensors;
    } catch (error) {
      if ((await readRecord(folder, key)) === undefined) await rm(path, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  let tensors = await find();
  if (tensors === undefined) {
    observer.preparing(0, total);
    const onWait = (): void =>
      observer.noted({
        code: "cache/waiting",
        message: `Another process prepares the same weights of the ${model}: what it makes is waited for.`,
      });
    tensors = await preparedIn(folder).lock(key, { signal, onWait }, async () => (await find()) ?? (await make()));
  }
  await touch(folder, key);
  const made = tensors;
  return {
    over: (graph) =>
      rewriteNamed(graph, (t) => {
        const computed = is(t, paramOp) && t.attrs.entry.source.kind === "computed" ? made.get(t.attrs.path) : undefined;
        return is(t, paramOp) && computed !== undefined ? param(t.attrs.path, computed) : undefined;
      }),
  };
};

const storedIn = ({ source }: TensorEntry): boolean => source.kind === "computed" && source.stored !== undefined;

function computedIn(outputs: Readonly<Record<string, Tensor>>): ParamAttrs[] {
  const params = inOrder(Object.values(outputs)).filter((t): t is Tensor<ParamAttrs> => is(t, paramOp));
  return params.map(({ attrs }) => attrs).filter(({ entry }) => entry.source.kind === "computed");
}
