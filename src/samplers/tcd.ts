import { UserError } from "../core/errors.ts";
import { type SchedulerConfig, withDefaults } from "./config.ts";
import { DISTILLED_DEFAULTS, distilledTimesteps } from "./distilled-schedule.ts";
import { noiseSchedule } from "./noise-schedule.ts";
import { atCumprod, toNoise, toOriginal } from "./prediction.ts";
import { combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";

/**
 * Trajectory consistency distillation: Zheng et al. 2024 (arXiv 2402.19159), algorithm 4; `eta` is its γ.
 * @see diffusers TCDScheduler
 */
export function tcd(config: SchedulerConfig, steps: number): Sampler {
  const fields = withDefaults(config, DISTILLED_DEFAULTS);
  const { prediction_type: type } = fields;
  const { alphasCumprod } = noiseSchedule(fields, fields.rescale_betas_zero_snr ? "exact" : "no");
  const timesteps = distilledTimesteps(fields.num_train_timesteps, fields.original_inference_steps, steps);

  function* sample(x: Latents, { noise, eta = 0.3 }: SampleOptions): Sampling {
    if (eta < 0 || eta > 1)
      throw new UserError("eta/invalid", `tcd takes an eta from 0 to 1, not ${eta}.`, "The usual value is 0.3.");
    for (const [index, timestep] of timesteps.entries()) {
      const next = timesteps[index + 1];
      const target = next ?? 0;
      const level = atCumprod(alphasCumprod[timestep]!);
      const at = x;
      const toStart = (output: Latents): Latents => toOriginal(type, output, at, level);
      const output = yield { sample: x, timestep, index, latents: x, original: toStart };
      const stop = alphasCumprod[Math.floor((1 - eta) * target)]!;
      const there = atCumprod(stop);
      x = combine([there.alpha, toStart(output)], [there.sigma, toNoise(type, output, x, level)]);
      if (eta === 0 || next === undefined) continue;
      const ratio = alphasCumprod[next]! / stop;
      x = combine([Math.sqrt(ratio), x], [Math.sqrt(1 - ratio), noise.randn(x.length)]);
    }
    return x;
  }
  return { timesteps, initNoiseSigma: 1, sample };
}
