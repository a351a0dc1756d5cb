import type { ParamAttrs } from "../../../graph/ops/source.ts";
import type { NormBefore } from "../../../graph/quantise.ts";
import { readFloats, sliceRows, type TensorEntry } from "../../../weights/index.ts";

export interface Balance {
  /** Factors of the columns of each layer's weight, by the weight's path. */
  readonly columns: ReadonlyMap<string, Float32Array>;
  /** Scales and shifts of norms, divided by the same factors, by path. */
  readonly norms: ReadonlyMap<string, Float32Array>;
}

/** Approximate largest output of a normalisation, in standard deviations. */
const REACH = 3;
/** Sample of a weight: the number of consecutive rows in each block, and the number of blocks. */
const [ROWS, PLACES] = [32, 8];
/** Largest factor of a channel. */
const MOST = 256;

/**
 * Balances norms and the layers behind them before rounding: SmoothQuant (Xiao et al. 2022, arXiv 2211.10438), equation 4 with alpha 0.5.
 * Some channels of trained transformers are tens of times larger than the others, which one scale for a row would round to zero. Each channel
 * of a norm is divided by s = sqrt(activation / weight) and the layers' column multiplied by it, so that both lose the same precision. The
 * activations are estimated from the norm's scale and shift, without drawing a picture.
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

/** Raises each number to the largest absolute value in its column of a weight, in a sample of the rows. */
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

/** Selects norms whose layers are all rounded. */
export const balanceable = (norms: readonly NormBefore[], rounded: readonly ParamAttrs[]): NormBefore[] => {
  const taken = new Set(rounded.map(({ path }) => path));
  return norms.filter(({ layers }) => layers.every(({ path }) => taken.has(path)));
};
