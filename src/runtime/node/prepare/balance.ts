import type { ParamAttrs } from "../../../graph/ops/source.ts";
import type { NormBefore } from "../../../graph/quantise.ts";
import { readFloats, sliceRows, type TensorEntry } from "../../../weights/index.ts";

export interface Balance {
  /** What each column of a layer's weight is multiplied by, by the weight's path. */
  readonly columns: ReadonlyMap<string, Float32Array>;
  /** Scales and shifts of norms, divided by the same, by path. */
  readonly norms: ReadonlyMap<string, Float32Array>;
}

/** Deviations that a norm's result reaches, about. */
const REACH = 3;
/** Rows of a weight that are looked at, in so many places. */
const [ROWS, PLACES] = [32, 8];
/** No channel is moved by more. */
const MOST = 256;

/**
 * Some channels of trained transformers are tens of times larger than the others, and with one scale for a row the others would be lost in
 * rounding. A norm's channel is divided by s and the columns behind it multiplied, s = sqrt(activation / weight), so that both are rounded
 * alike: SmoothQuant (Xiao et al. 2022, arXiv 2211.10438), equation 4 with alpha 0.5. What a norm gives is known from its scale and shift, so
 * that no picture has to be drawn to find it.
 */
export async function balance(norms: readonly NormBefore[], signal?: AbortSignal): Promise<Balance> {
  const columns = new Map<string, Float32Array>();
  const changed = new Map<string, Float32Array>();
  for (const { weight, bias, layers } of norms) {
    signal?.throwIfAborted();
    const [scale, shift] = [await readFloats(weight.entry), await readFloats(bias.entry)];
    const largest = new Float32Array(scale.length);
    for (const { entry } of layers) await raiseToColumns(largest, entry);
    const factor = scale.map((g, i) => Math.sqrt((REACH * Math.abs(g) + Math.abs(shift[i]!)) / largest[i]!));
    const typical = Math.exp(factor.reduce((sum, f) => sum + Math.log(usable(f) ? f : 1), 0) / factor.length);
    const s = factor.map((f) => (usable(f) ? Math.min(MOST, Math.max(1 / MOST, f / typical)) : 1));
    changed.set(weight.path, divided(scale, s));
    changed.set(bias.path, divided(shift, s));
    for (const { path } of layers) columns.set(path, s);
  }
  return { columns, norms: changed };
}

const usable = (f: number): boolean => f > 0 && Number.isFinite(f);
const divided = (values: Float32Array, by: Float32Array): Float32Array => values.map((v, i) => v / by[i]!);

/** Raises each number to the largest size in its column of a weight, of which some rows stand for all. */
async function raiseToColumns(largest: Float32Array, entry: TensorEntry): Promise<void> {
  const [out, into] = entry.shape as [number, number];
  const all = entry.transposed || out <= ROWS * PLACES;
  for (let place = 0; place < (all ? 1 : PLACES); place++) {
    const from = Math.floor((place * (out - ROWS)) / (PLACES - 1));
    const rows = await readFloats(all ? entry : sliceRows(entry, from, from + ROWS));
    for (let i = 0; i < rows.length; i++) {
      const column = i % into;
      const value = Math.abs(rows[i]!);
      if (value > largest[column]!) largest[column] = value;
    }
  }
}

/** Norms in front of layers that are all rounded. */
export const balanceable = (norms: readonly NormBefore[], rounded: readonly ParamAttrs[]): NormBefore[] => {
  const taken = new Set(rounded.map(({ path }) => path));
  return norms.filter(({ layers }) => layers.every(({ path }) => taken.has(path)));
};
