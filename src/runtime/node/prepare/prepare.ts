import { rm } from "node:fs/promises";
import { UserError } from "../../../core/errors.ts";
import { channelsLast } from "../../../graph/channels-last.ts";
import { lora } from "../../../graph/lora.ts";
import { attentionOp } from "../../../graph/ops/attention.ts";
import { gatherOp } from "../../../graph/ops/gather.ts";
import { type QuantisedWeight, quantisedAttention } from "../../../graph/ops/quantised.ts";
import { type ParamAttrs, param, paramOp } from "../../../graph/ops/source.ts";
import {
  type NormBefore,
  normsBefore,
  quantisable,
  quantise,
  slicedLinears,
  slicePath,
  upsampledKernels,
} from "../../../graph/quantise.ts";
import { inOrder, rewriteNamed } from "../../../graph/rewrite.ts";
import { fixedSize, is, type Tensor } from "../../../graph/tensor.ts";
import { fingerprint } from "../../../weights/fingerprint.node.ts";
import {
  DTYPE_BYTES,
  elementCount,
  openStored,
  readFloats,
  sliceRows,
  type TensorEntry,
  type Tensors,
  type TensorToWrite,
  writeSafetensors,
} from "../../../weights/index.ts";
import type { Over, ToPrepare } from "../../prepare.ts";
import { type Balance, balance, balanceable } from "./balance.ts";
import {
  type CacheOptions,
  evict,
  openFolder,
  preparedIn,
  readRecord,
  removePrepared,
  touch,
  weightsPath,
  writeRecord,
} from "./cache-folder.ts";
import { cornerKernel } from "./corner-kernel.ts";
import { attentionInEightBits, layerInEightBits, POLICY, sharesRange } from "./policy.ts";
import { type Rounded, Rounder } from "./rounder.ts";

const policyOf = ({ weightRange = "full" }: ToPrepare): string => (weightRange === "full" ? POLICY : `${POLICY}-${weightRange}`);

export interface PrepareOptions {
  readonly cache: CacheOptions;
  readonly signal?: AbortSignal | undefined;
  /** @param done, total prepared bytes of the original weights, and all of them */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly onNotice?: ((text: string) => void) | undefined;
  /** Called when another process prepares the same weights, which are then awaited. */
  readonly onWait?: (() => void) | undefined;
}

/** Number of elements below which a weight is left unchanged. */
const SMALL = 2 ** 10;
const SCALES = ":scales";

/** Treatment of each weight. */
interface Plan {
  readonly rounded: readonly ParamAttrs[];
  /** Output counts of the slices of layers that are used in slices, by the weight's path. */
  readonly slices: ReadonlyMap<string, readonly number[]>;
  /** Paths of convolution weights behind an upsampling. */
  readonly upsampled: ReadonlySet<string>;
  readonly widened: readonly ParamAttrs[];
  readonly norms: readonly NormBefore[];
  readonly all: readonly ParamAttrs[];
}

/**
 * Prepares weights: converts linear layers and convolutions to 8 bits, with the LoRAs of linear layers merged, and the rest to float32. This is
 * done once, tensor by tensor; the result is cached in the user's cache folder under a hash of the original weights, the LoRAs and the policy.
 * @returns a function that puts the prepared weights into any graph over the same weights
 * @throws UserError cache/folder, disk/full; the signal's reason
 */
export async function prepare(what: ToPrepare, options: PrepareOptions): Promise<Over> {
  const { folder } = options.cache;
  const plan = planOf(what);
  const key = await keyOf(what, plan);
  await openFolder(folder);
  const found = (await openPrepared(folder, key, options)) ?? (await makeAlone(what, plan, key, options));
  await touch(folder, key);
  const beside = branches(what.pairs, plan);
  const rounded = over(found, plan, what);
  return (outputs) => rewriteNamed(rewriteNamed(rewriteNamed(outputs, rounded), channelsLast), lora(beside, new Set()));
}

function planOf({ model, outputs: named, pairs }: ToPrepare): Plan {
  const outputs = Object.values(named);
  const rounded = quantisable(outputs).filter((attrs) => layerInEightBits(attrs, model, pairs));
  const taken = new Set(rounded.map(({ path }) => path));
  const tables = new Set(inOrder(outputs).flatMap((t) => (is(t, gatherOp) ? [t.inputs[0]!] : [])));
  const params = inOrder(outputs).filter((t): t is Tensor<ParamAttrs> => is(t, paramOp));
  const widened = params
    .filter((t) => !tables.has(t) && !taken.has(t.attrs.path))
    .map(({ attrs }) => attrs)
    .filter(({ entry }) => entry.dtype !== "F32" && elementCount(entry.shape) >= SMALL);
  const norms = balanceable(normsBefore(outputs), rounded);
  const all = params.map(({ attrs }) => attrs);
  if (new Set(all.map(({ path }) => path)).size !== all.length)
    throw new TypeError("two weights of one graph have the same path");
  return { rounded, slices: slicedLinears(outputs), upsampled: upsampledKernels(outputs), widened, norms, all };
}

/** Selects LoRAs of layers that are not rounded: they stay branches beside their layers. */
function branches(pairs: ToPrepare["pairs"], { rounded }: Plan): ToPrepare["pairs"] {
  const merged = new Set(rounded.map(({ path }) => path));
  return new Map([...pairs].filter(([path]) => !merged.has(path)));
}

async function keyOf(what: ToPrepare, { all, rounded, slices }: Plan): Promise<string> {
  const { model, pairs } = what;
  const merged = rounded.flatMap(({ path }) => pairs.get(path) ?? []);
  const entries = [...all.map(({ path, entry }) => ({ ...entry, name: path })), ...merged.flatMap(({ down, up }) => [down, up])];
  const scales = JSON.stringify(rounded.map(({ path }) => (pairs.get(path) ?? []).map(({ scale }) => scale)));
  return (await fingerprint(entries, policyOf(what), model, scales, JSON.stringify([...slices]))).slice(0, 40);
}

/** Opens weights that were prepared before, if intact; damaged ones are removed, with a notice. */
export async function openPrepared(
  folder: string,
  key: string,
  { onNotice }: Pick<PrepareOptions, "onNotice">,
): Promise<Tensors | undefined> {
  const record = await readRecord(folder, key);
  if (record === undefined) return undefined;
  try {
    const { tensors } = await openStored(weightsPath(folder, key));
    if ((await fingerprint([...tensors.values()])) === record.content) return tensors;
    onNotice?.(`The prepared ${record.model} was changed since it was made: it is prepared again.`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    onNotice?.(`The prepared ${record.model} is damaged (${error.code}): it is prepared again.`);
  }
  await removePrepared(folder, key);
  return undefined;
}

const bytesIn = ({ entry }: ParamAttrs): number => elementCount(entry.shape) * DTYPE_BYTES[entry.dtype];

/** Prepares weights under a lock: of two processes that need the same weights, one prepares them and the other waits. */
async function makeAlone(what: ToPrepare, plan: Plan, key: string, options: PrepareOptions): Promise<Tensors> {
  const { cache, signal, onProgress, onWait } = options;
  const total = [...plan.rounded, ...plan.widened].reduce((sum, attrs) => sum + bytesIn(attrs), 0);
  onProgress?.(0, total); // reported before waiting, so that a caller that does not want a preparation can abort here
  return preparedIn(cache.folder).lock(
    key,
    { signal, onWait },
    async () => (await openPrepared(cache.folder, key, options)) ?? (await make(what, plan, key, total, options)),
  );
}

async function make(what: ToPrepare, plan: Plan, key: string, total: number, options: PrepareOptions): Promise<Tensors> {
  const { cache, signal, onProgress } = options;
  const { folder } = cache;
  let done = 0;
  const advance = (attrs: ParamAttrs): void => {
    signal?.throwIfAborted();
    done += bytesIn(attrs);
    onProgress?.(done, total);
  };
  const rounder = new Rounder(what.weightRange ?? "full");
  const path = weightsPath(folder, key);
  try {
    const balanced = await balance(plan.norms, signal);
    const rounded = plan.rounded.flatMap((attrs) => eightBits(attrs, plan, what, balanced, rounder, advance));
    const widened = plan.widened.filter((attrs) => !balanced.norms.has(attrs.path)).map((attrs) => float32(attrs, advance));
    const norms = [...balanced.norms].map(([name, values]) => vector(name, values));
    await writeSafetensors(
      path,
      [...rounded, ...widened, ...norms],
      { model: what.model, policy: policyOf(what) },
      { asGiven: true },
    );
    const { tensors } = await openStored(path);
    const content = await fingerprint([...tensors.values()]);
    await writeRecord(folder, { key, model: what.model, precision: "int8", from: what.from, content });
    await evict(cache, new Set([key]));
    return tensors;
  } catch (error) {
    // without its record the file would neither be used nor ever be removed
    if ((await readRecord(folder, key)) === undefined) await rm(path, { force: true }).catch(() => undefined);
    throw error;
  } finally {
    await rounder.close();
  }
}

function eightBits(
  attrs: ParamAttrs,
  { slices, upsampled }: Plan,
  { pairs }: ToPrepare,
  { columns }: Balance,
  rounder: Rounder,
  advance: (attrs: ParamAttrs) => void,
): TensorToWrite[] {
  const { path, entry } = attrs;
  const atCorners = upsampled.has(path);
  const [outputs, channels, kernel = 1] = entry.shape as [number, number, number?];
  const [out, into] = atCorners ? [4 * outputs, 4 * channels] : [outputs, channels * kernel ** 2];
  let whole: Rounded | undefined; // kept until its last slice is written
  const round = async (): Promise<Rounded> => {
    const weight = atCorners ? await cornerKernel(entry) : { ...entry, shape: [out, into] };
    const places = atCorners ? 1 : kernel ** 2;
    const { rounded, scales } = await rounder.round(weight, places, pairs.get(path) ?? [], columns.get(path));
    advance(attrs);
    return { rounded: places === 1 ? rounded : byPlace(rounded, channels, out), scales };
  };
  const tensors = (name: string, from: number, to: number): TensorToWrite[] => [
    {
      name,
      dtype: "I8",
      shape: [into, to - from],
      data: async () => {
        whole ??= await round();
        return to - from === out ? whole.rounded : columnsOf(whole.rounded, out, from, to);
      },
    },
    {
      name: `${name}${SCALES}`, // written after the weight
      dtype: "F32",
      shape: [to - from],
      data: async () => {
        const scales = whole!.scales.slice(from, to);
        if (to === out) whole = undefined;
        return scales;
      },
    },
  ];
  const sizes = slices.get(path);
  if (sizes === undefined) return tensors(path, 0, out);
  let end = 0;
  return sizes.flatMap((size) => {
    const start = end;
    end += size;
    return tensors(slicePath(path, start), start, end);
  });
}

/** Copies columns `from` to `to` of a matrix with `all` columns. */
function columnsOf(matrix: Int8Array, all: number, from: number, to: number): Int8Array {
  const rows = matrix.length / all;
  const some = new Int8Array(rows * (to - from));
  for (let row = 0; row < rows; row++) some.set(matrix.subarray(row * all + from, row * all + to), row * (to - from));
  return some;
}

/** Reorders rows from channel-major (all kernel positions of a channel together) to position-major. @param rounded [channels · positions, out] */
function byPlace(rounded: Int8Array, channels: number, out: number): Int8Array {
  const places = rounded.length / (channels * out);
  const sorted = new Int8Array(rounded.length);
  for (let channel = 0; channel < channels; channel++)
    for (let place = 0; place < places; place++) {
      const row = (channel * places + place) * out;
      sorted.set(rounded.subarray(row, row + out), (place * channels + channel) * out);
    }
  return sorted;
}

/** Number of values that are widened at a time, so that the event loop is blocked only briefly. */
const AT_ONCE = 2 ** 21;

function float32(attrs: ParamAttrs, advance: (attrs: ParamAttrs) => void): TensorToWrite {
  const { path, entry } = attrs;
  async function* pieces() {
    const rows = entry.shape[0] ?? 1;
    const some = Math.max(1, Math.floor((AT_ONCE * rows) / elementCount(entry.shape)));
    if (entry.transposed || entry.shape.length === 0) yield await readFloats(entry);
    else
      for (let from = 0; from < rows; from += some) yield await readFloats(sliceRows(entry, from, Math.min(rows, from + some)));
    advance(attrs);
  }
  return { name: path, dtype: "F32", shape: entry.shape, data: pieces };
}

const vector = (name: string, values: Float32Array): TensorToWrite => ({
  name,
  dtype: "F32",
  shape: [values.length],
  data: async () => values,
});

/** A rule that replaces original weights by prepared ones. */
function over(tensors: Tensors, { upsampled }: Plan, { weightRange, model }: ToPrepare): (t: Tensor) => Tensor | undefined {
  const eight = new Map<string, QuantisedWeight>();
  for (const [path, entry] of tensors) {
    const scales: TensorEntry | undefined = tensors.get(`${path}${SCALES}`);
    if (scales !== undefined) eight.set(path, { weight: { path, entry }, scales: { path: `${path}${SCALES}`, entry: scales } });
  }
  const layer = quantise(eight, upsampled, (x) => sharesRange(x, model));
  return (t) => {
    if (is(t, attentionOp) && !t.attrs.causal && attentionInEightBits(t.attrs.heads, fixedSize(t.inputs[0]!, -1))) {
      const [q, k, v, bias] = t.inputs as [Tensor, Tensor, Tensor, Tensor?];
      if (bias !== undefined) return undefined;
      return quantisedAttention(q, k, v, { unsigned: weightRange === "paired" });
    }
    if (!is(t, paramOp)) return layer(t);
    const entry = tensors.get(t.attrs.path);
    return entry?.dtype === "F32" ? param(t.attrs.path, entry) : undefined;
  };
}
