import type { NormalSource } from "../core/random/normal-source.ts";

/** [images, channels, height, width], flat. */
export type Latents = Float32Array;

/** One question to the model. */
export interface Query {
  /** What the model sees: latents scaled as it expects. */
  readonly sample: Latents;
  /** What the model is told; may have a fraction. */
  readonly timestep: number;
  /** Place in the sampler's timesteps: what `startMergeStep` counts, twice a step for Heun. It counts from 0, or from where the run begins. */
  readonly index: number;
  /** Latents as they are between steps. */
  readonly latents: Latents;
  /** The picture without noise that an answer stands for. */
  original(output: Latents): Latents;
}

/**
 * What a query is answered with: the model's output, or other latents, of the same size, in place of those it shows. The same is then
 * asked about these. This is what diffusers' pipelines do to latents between two steps of a scheduler: inpainting puts back what is
 * known, for example. `askAbout` says it.
 */
export type Answer = Latents | { readonly latents: Latents };

/** Asks the model, takes its answers, and returns the final latents. */
export type Sampling = Generator<Query, Latents, Answer>;

export interface SampleOptions {
  /** Where noise comes from, drawn only when it is used. */
  readonly noise: NormalSource;
  /** Share of fresh noise: DDIM from 0 (none) to 1, TCD's γ. The sampler's own default when absent. */
  readonly eta?: number | undefined;
  /**
   * Place in the timesteps to begin at, one of the sampler's `starts`: 0 when absent. Latents are then those of this place, as
   * `addNoise` makes them. Solvers of several steps begin without memory, as at 0.
   */
  readonly from?: number | undefined;
}

/** A sampling run laid out: plain numbers, used for any latents. */
export interface Sampler {
  readonly timesteps: readonly number[];
  /** Noise levels, one more than there are timesteps; absent for samplers that think in ᾱ. */
  readonly sigmas?: readonly number[];
  /** Places in the timesteps at which a run may begin: the first evaluation of each step, the first of all at 0. */
  readonly starts: readonly number[];
  /** What unit noise is multiplied by to begin with. */
  readonly initNoiseSigma: number;
  /**
   * Clean latents with as much noise as a run has at a place in the timesteps.
   * @param noise of deviation 1
   * @throws RangeError for a place outside the timesteps
   * @see diffusers' schedulers, add_noise
   */
  addNoise(original: Latents, noise: Latents, index: number): Latents;
  /**
   * @param latents noise of deviation {@link initNoiseSigma}, or for a run from the middle what {@link addNoise} gives for `from`
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
