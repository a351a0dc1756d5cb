import { UserError } from "../core/errors.ts";
import { type SchedulerConfig, type SchedulerFields, withDefaults } from "./config.ts";
import type { Ladder } from "./ladder.ts";
import { karrasSigmas, respaced, SIGMA_DEFAULTS } from "./sigmas.ts";
import { linspace } from "./spacing.ts";

const DEFAULTS = {
  ...SIGMA_DEFAULTS,
  sigma_data: 0.5,
  sigma_schedule: "karras",
  rho: 7,
  prediction_type: "epsilon",
  final_sigmas_type: "zero",
} satisfies Partial<SchedulerFields>;

/** Smallest and largest sigma where a config says none: Karras et al. 2022 (arXiv 2206.00364), table 1. */
const RANGE = { min: 0.002, max: 80 };

/** Whether a config is that of a model trained over continuous noise levels: one of diffusers' EDM schedulers. */
export const isEdm = (config: unknown): boolean =>
  /^EDM/.test(String((config as { readonly _class_name?: unknown } | null | undefined)?._class_name ?? ""));

/**
 * Noise levels and preconditioning of EDM: Karras et al. 2022 (arXiv 2206.00364), equation 7, table 1 and equation 5. The model is told a
 * quarter of the logarithm of the noise level. Its output is scaled and added to the scaled latents; with `v_prediction`, it is subtracted.
 *
 * A run of one step goes from the largest level to the last; in diffusers, with exponential spacing, it begins at the smallest, and
 * EDMEulerScheduler that ends at `sigma_min` takes no step.
 * @see diffusers EDMEulerScheduler, EDMDPMSolverMultistepScheduler
 * @throws UserError scheduler/config, scheduler/prediction
 */
export function edmLadder(config: SchedulerConfig, steps: number): Ladder {
  const fields = withDefaults(config, DEFAULTS);
  const { prediction_type: type, sigma_data: sigmaData } = fields;
  if (type === "sample")
    throw new UserError(
      "scheduler/prediction",
      'A model over continuous noise levels (EDM) that predicts the picture ("sample") is not known.',
      "Set the prediction_type of scheduler/scheduler_config.json to epsilon or v_prediction, as the model was trained.",
    );
  const [min, max] = [fields.sigma_min ?? RANGE.min, fields.sigma_max ?? RANGE.max];
  if (!(min > 0 && max > min && Number.isFinite(max)))
    throw new UserError(
      "scheduler/config",
      `The scheduler's config is not supported: noise levels from ${min} to ${max}.`,
      "sigma_min must be above 0, and sigma_max above that: 0.002 and 80 are usual.",
    );
  const own = (): number[] =>
    fields.sigma_schedule === "karras"
      ? karrasSigmas(max, min, steps, fields.rho)
      : linspace(Math.log(max), Math.log(min), steps).map(Math.exp);
  const spaced = (respaced({ ...fields, sigma_min: null, sigma_max: null }, max, min, steps) ?? own()).map(Math.fround);
  const sigmas = [...spaced, fields.final_sigmas_type === "zero" ? 0 : Math.fround(min)];
  return {
    timesteps: spaced.map((sigma) => Math.fround(0.25 * Math.log(sigma))),
    sigmas,
    type: { sigmaData, sign: type === "epsilon" ? 1 : -1 },
    initNoiseSigma: Math.sqrt(max * max + 1),
    scale: (latents, index) => {
      const factor = 1 / Math.hypot(sigmas[index]!, sigmaData);
      return latents.map((v) => v * factor);
    },
  };
}
