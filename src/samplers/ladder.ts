import type { OutputKind } from "./prediction.ts";
import type { Latents } from "./sampler.ts";

/** Noise levels of a run from the noisiest down, for latents whose signal is not scaled, and how the model is asked at each of them. */
export interface Ladder {
  readonly timesteps: readonly number[];
  /** Deviations of the noise: one for each timestep, and the one that the run ends at. */
  readonly sigmas: readonly number[];
  readonly type: OutputKind;
  /** Factor of unit noise at the beginning of a run. */
  readonly initNoiseSigma: number;
  /** Scales latents as the model expects them. */
  scale(latents: Latents, index: number): Latents;
}
