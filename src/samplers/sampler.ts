import type { NormalSource } from "../core/random/normal-source.ts";

/** [images, channels, height, width], flat. */
export type Latents = Float32Array;

/** One query to the model. */
export interface Query {
  /** Input of the model: latents scaled as it expects. */
  readonly sample: Latents;
  /** Timestep for the model; may have a fraction. */
  readonly timestep: number;
  /** Index in the sampler's timesteps, which `startMergeStep` refers to; Heun has two for each step. Begins at 0, or at `from`. */
  readonly index: number;
  /** Latents in the sampler's own scale. */
  readonly latents: Latents;
  /** The prediction of the noise-free latents from the model's output. */
  original(output: Latents): Latents;
}

/**
 * Answer to a query: the model's output, or latents of the same size that replace those of the query, which is then repeated for them.
 * Diffusers' pipelines change latents in this way between two steps of a scheduler; inpainting, for example, restores the known region.
 * `askAbout` gives such an answer.
 */
export type Answer = Latents | { readonly latents: Latents };

/** A run of a sampler: yields queries, receives their answers, and returns the final latents. */
export type Sampling = Generator<Query, Latents, Answer>;

export interface SampleOptions {
  /** Source of noise, which is drawn only when it is used. */
  readonly noise: NormalSource;
  /** Share of fresh noise: DDIM from 0 (none) to 1, TCD's γ. The sampler's own default when absent. */
  readonly eta?: number | undefined;
  /**
   * Index in the timesteps to begin at, one of the sampler's `starts`; 0 when absent. The latents must have the noise of this index, as
   * `addNoise` adds it. Multistep solvers begin without earlier outputs, as at 0.
   */
  readonly from?: number | undefined;
}

/** Schedule and method of a sampling run, for any latents. */
export interface Sampler {
  readonly timesteps: readonly number[];
  /** Noise levels, one more than timesteps; absent for samplers that compute with ᾱ. */
  readonly sigmas?: readonly number[];
  /** Indices in the timesteps at which a run may begin: the first evaluation of each step; the first is 0. */
  readonly starts: readonly number[];
  /** Factor of unit noise at the beginning of a run. */
  readonly initNoiseSigma: number;
  /**
   * Adds to clean latents the noise that a run has at an index of the timesteps.
   * @param noise of deviation 1
   * @throws RangeError for an index outside the timesteps
   * @see diffusers' schedulers, add_noise
   */
  addNoise(original: Latents, noise: Latents, index: number): Latents;
  /**
   * @param latents noise of deviation {@link initNoiseSigma}, or for a run from the middle the result of {@link addNoise} at `from`
   * @throws UserError sampler/from
   */
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
