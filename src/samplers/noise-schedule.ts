import type { SchedulerFields } from "./config.ts";

export type BetaFields = Pick<
  SchedulerFields,
  "num_train_timesteps" | "beta_start" | "beta_end" | "beta_schedule" | "trained_betas"
>;

/** The defaults that most of diffusers' schedulers share. */
export const BETA_DEFAULTS: BetaFields = {
  num_train_timesteps: 1000,
  beta_start: 0.0001,
  beta_end: 0.02,
  beta_schedule: "linear",
  trained_betas: null,
};

const { fround } = Math;

/** Remaining signal at each training timestep, in float32 as in diffusers. */
export interface NoiseSchedule {
  /** ᾱ of Ho et al. 2020 (arXiv 2006.11239), equation 4. */
  readonly alphasCumprod: Float32Array;
  /** √((1 - ᾱ) / ᾱ): standard deviation of the noise relative to an unscaled signal. */
  readonly sigmas: Float32Array;
}

/** Value that diffusers uses instead of zero, so that sigma stays finite. */
const ALMOST_ZERO = 2 ** -24;

/** @param zeroSnr rescales so that no signal remains at the last timestep; with `finite`, almost none */
export function noiseSchedule(fields: BetaFields, zeroSnr: "no" | "exact" | "finite" = "no"): NoiseSchedule {
  let alphas: Float32Array = betas(fields).map((b) => 1 - b);
  if (zeroSnr !== "no") alphas = zeroTerminalSnr(cumulative(alphas));
  const alphasCumprod = cumulative(alphas);
  if (zeroSnr === "finite") alphasCumprod[alphasCumprod.length - 1] = ALMOST_ZERO;
  const sigmas = alphasCumprod.map((a) => Math.sqrt(fround((1 - a) / a)));
  return { alphasCumprod, sigmas };
}

function betas({ num_train_timesteps: n, beta_start, beta_end, beta_schedule, trained_betas }: BetaFields): Float32Array {
  if (trained_betas !== null) return Float32Array.from(trained_betas);
  if (beta_schedule === "linear") return linspace32(beta_start, beta_end, n);
  if (beta_schedule === "scaled_linear") return linspace32(Math.sqrt(beta_start), Math.sqrt(beta_end), n).map((b) => b * b);
  // Nichol and Dhariwal 2021 (arXiv 2102.09672), equation 17
  const left = (t: number): number => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  return Float32Array.from({ length: n }, (_, i) => Math.min(1 - left((i + 1) / n) / left(i / n), 0.999));
}

/** torch.linspace in float32, which computes each half from its own end. */
function linspace32(start: number, end: number, n: number): Float32Array {
  const [from, to] = [fround(start), fround(end)];
  const step = fround((to - from) / (n - 1));
  return Float32Array.from({ length: n }, (_, i) => (i < n / 2 ? from + fround(step * i) : to - fround(step * (n - 1 - i))));
}

/** Cumulative product as in torch, which accumulates in double and rounds each value. */
function cumulative(factors: Float32Array): Float32Array {
  let product = 1;
  return factors.map((f) => {
    product *= f;
    return product;
  });
}

/** Lin et al. 2023 (arXiv 2305.08891), algorithm 1: alphas from ᾱ shifted and scaled to end in 0. */
function zeroTerminalSnr(alphasCumprod: Float32Array): Float32Array {
  const roots = alphasCumprod.map(Math.sqrt);
  const [first, last] = [roots[0]!, roots.at(-1)!];
  const scale = fround(first / fround(first - last));
  const bars = roots.map((r) => fround(fround(r - last) * scale) ** 2);
  return bars.map((bar, i) => 1 - fround(1 - (i === 0 ? bar : fround(bar / bars[i - 1]!))));
}
