import type { NormalSource } from "../core/random/normal-source.ts";

/** [images, channels, height, width], flat. */
export type Latents = Float32Array;

/** One question to the model. */
export interface Query {
  /** What the model sees: latents scaled as it expects. */
  readonly sample: Latents;
  /** What the model is told; may have a fraction. */
  readonly timestep: number;
  /** 0-based count of questions: what `startMergeStep` counts, twice a step for Heun. */
  readonly index: number;
  /** Latents as they are between steps. */
  readonly latents: Latents;
  /** The picture without noise that an answer stands for. */
  original(output: Latents): Latents;
}

/** Asks the model, takes its answers, and returns the final latents. */
export type Sampling = Generator<Query, Latents, Latents>;

export interface SampleOptions {
  /** Where noise comes from, drawn only when it is used. */
  readonly noise: NormalSource;
  /** Share of fresh noise: DDIM from 0 (none) to 1, TCD's γ. The sampler's own default when absent. */
  readonly eta?: number | undefined;
}

/** A sampling run laid out: plain numbers, used for any latents. */
export interface Sampler {
  readonly timesteps: readonly number[];
  /** Noise levels, one more than there are timesteps; absent for samplers that think in ᾱ. */
  readonly sigmas?: readonly number[];
  /** What unit noise is multiplied by to begin with. */
  readonly initNoiseSigma: number;
  /** @param latents noise of deviation {@link initNoiseSigma} */
  sample(latents: Latents, options: SampleOptions): Sampling;
}

/** Σ factor · array, element by element. */
export function combine(...terms: readonly (readonly [number, Latents])[]): Latents {
  const out = new Float32Array(terms[0]![1].length);
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (const [factor, values] of terms) sum += factor * values[i]!;
    out[i] = sum;
  }
  return out;
}

export const clamp = (x: Latents, range: number): Latents => x.map((v) => Math.min(range, Math.max(-range, v)));
