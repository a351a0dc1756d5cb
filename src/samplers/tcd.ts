import { UserError } from "../core/errors.ts";
import { ask } from "./ask.ts";
import { type SchedulerConfig, withDefaults } from "./config.ts";
import { DISTILLED_DEFAULTS, distilledTimesteps } from "./distilled-schedule.ts";
import { noiseSchedule } from "./noise-schedule.ts";
import { addNoiseAt, atCumprod, toNoise, toOriginal } from "./prediction.ts";
import { combine, type Latents, type SampleOptions, type Sampler, type Sampling } from "./sampler.ts";
import { everyPlace, placesFrom } from "./starts.ts";

/**
 * Trajectory consistency distillation: Zheng et al. 2024 (arXiv 2402.19159), algorithm 4, with `eta` as its γ.
 * @see diffusers TCDScheduler
 */
export function tcd(config: SchedulerConfig, steps: number): Sampler {
  const fields = withDefaults(config, DISTILLED_DEFAULTS);
  const { prediction_type: type } = fields;
  const { alphasCumprod } = noiseSchedule(fields, fields.rescale_betas_zero_snr ? "exact" : "no");
  const timesteps = distilledTimesteps(fields.num_train_timesteps, fields.original_inference_steps, steps);
  const levels = timesteps.map((t) => atCumprod(alphasCumprod[t]!));
  const starts = everyPlace(timesteps);

  function* sample(x: Latents, { noise, eta = 0.3, from }: SampleOptions): Sampling {
    if (eta < 0 || eta > 1)
      throw new UserError("eta/invalid", `tcd takes an eta from 0 to 1, not ${eta}.`, "The usual value is 0.3.");
    for (const index of placesFrom({ timesteps, starts }, from)) {
      const next = timesteps[index + 1];
      const target = next ?? 0;
      const { output, latents } = yield* ask({ type, timesteps, levels }, x, index);
      const level = levels[index]!;
      const stop = alphasCumprod[Math.floor((1 - eta) * target)]!;
      const there = atCumprod(stop);
      const original = toOriginal(type, output, latents, level);
      x = combine([there.alpha, original], [there.sigma, toNoise(type, output, latents, level)]);
      if (eta === 0 || next === undefined) continue;
      const ratio = alphasCumprod[next]! / stop;
      x = combine([Math.sqrt(ratio), x], [Math.sqrt(1 - ratio), noise.randn(x.length)]);
    }
    return x;
  }
  return { timesteps, starts, initNoiseSigma: 1, addNoise: addNoiseAt(levels), sample };
}
