import { betaQuantile } from "./beta-quantile.ts";
import type { SchedulerFields } from "./config.ts";
import { linspace } from "./spacing.ts";

export type SigmaFields = Pick<
  SchedulerFields,
  "use_karras_sigmas" | "use_exponential_sigmas" | "use_beta_sigmas" | "sigma_min" | "sigma_max"
>;
export const SIGMA_DEFAULTS: SigmaFields = {
  use_karras_sigmas: false,
  use_exponential_sigmas: false,
  use_beta_sigmas: false,
  sigma_min: null,
  sigma_max: null,
};

/** Karras et al. 2022 (arXiv 2206.00364), equation 5. */
export function karrasSigmas(max: number, min: number, n: number, rho = 7): number[] {
  const [a, b] = [max ** (1 / rho), min ** (1 / rho)];
  return linspace(0, 1, n).map((ramp) => (a + ramp * (b - a)) ** rho);
}

/** Sigmas that are evenly spaced in their logarithm. */
const exponentialSigmas = (max: number, min: number, n: number): number[] =>
  linspace(Math.log(max), Math.log(min), n).map(Math.exp);

/** Lee et al. 2024 (arXiv 2407.12173): quantiles of Beta(0.6, 0.6). */
const betaSigmas = (max: number, min: number, n: number): number[] =>
  linspace(0, 1, n).map((t) => min + betaQuantile(1 - t, 0.6, 0.6) * (max - min));

/** Sigmas between these ends in the spacing that the config names, or undefined if it names none. */
export function respaced(fields: SigmaFields, max: number, min: number, n: number): number[] | undefined {
  const [high, low] = [fields.sigma_max ?? max, fields.sigma_min ?? min];
  if (fields.use_karras_sigmas) return karrasSigmas(high, low, n);
  if (fields.use_exponential_sigmas) return exponentialSigmas(high, low, n);
  if (fields.use_beta_sigmas) return betaSigmas(high, low, n);
  return undefined;
}

/** Linear interpolation in a table: numpy.interp. */
export function interpolate(at: number, table: ArrayLike<number>): number {
  const last = table.length - 1;
  if (at <= 0) return table[0]!;
  if (at >= last) return table[last]!;
  const low = Math.floor(at);
  return (table[low + 1]! - table[low]!) * (at - low) + table[low]!;
}

/** Logarithms of sigmas in float32, for {@link timestepOf}. */
export const logarithms = (sigmas: Float32Array): Float32Array => sigmas.map(Math.log);

/** The timestep, with a fraction, that has this sigma: diffusers' _sigma_to_t. */
export function timestepOf(sigma: number, logSigmas: Float32Array): number {
  const log = Math.log(Math.max(sigma, 1e-10));
  let below = 0; // the last position whose sigma is not above this one
  for (let i = 0; i < logSigmas.length; i++) if (log >= logSigmas[i]!) below = i;
  const low = Math.min(below, logSigmas.length - 2);
  const [a, b] = [logSigmas[low]!, logSigmas[low + 1]!];
  const w = Math.min(1, Math.max(0, (a - log) / Math.fround(a - b)));
  return (1 - w) * low + w * (low + 1);
}
