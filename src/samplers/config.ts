import { z } from "zod";
import { UserError } from "../core/errors.ts";

export const TIMESTEP_SPACINGS = ["leading", "trailing", "linspace"] as const;

/** Fields of diffusers' scheduler_config.json that a sampler here reads. All others have no effect in diffusers either. */
const fields = z.looseObject({
  num_train_timesteps: z.int().positive().max(100_000),
  beta_start: z.number(),
  beta_end: z.number(),
  beta_schedule: z.enum(["linear", "scaled_linear", "squaredcos_cap_v2"]),
  trained_betas: z.array(z.number()).nullable(),
  prediction_type: z.enum(["epsilon", "v_prediction", "sample"]),
  timestep_spacing: z.enum(TIMESTEP_SPACINGS),
  steps_offset: z.int(),
  rescale_betas_zero_snr: z.boolean(),
  use_karras_sigmas: z.boolean().nullable(),
  use_exponential_sigmas: z.boolean().nullable(),
  use_beta_sigmas: z.boolean().nullable(),
  use_lu_lambdas: z.boolean().nullable(),
  sigma_min: z.number().nullable(),
  sigma_max: z.number().nullable(),
  sigma_data: z.number().positive(),
  sigma_schedule: z.enum(["karras", "exponential"]),
  rho: z.number().positive(),
  interpolation_type: z.enum(["linear", "log_linear"]),
  timestep_type: z.enum(["discrete", "continuous"]),
  final_sigmas_type: z.enum(["zero", "sigma_min"]),
  clip_sample: z.boolean(),
  clip_sample_range: z.number().positive(),
  set_alpha_to_one: z.boolean(),
  skip_prk_steps: z.boolean(),
  variance_type: z.string().nullable(),
  solver_order: z.int().min(1).max(3),
  algorithm_type: z.string(),
  solver_type: z.string(),
  lower_order_final: z.boolean(),
  euler_at_final: z.boolean(),
  lambda_min_clipped: z.number(),
  predict_x0: z.boolean(),
  disable_corrector: z.array(z.int()),
  original_inference_steps: z.int().positive(),
  timestep_scaling: z.number().positive(),
  thresholding: z.literal(false),
  use_flow_sigmas: z.literal(false).nullable(),
});
export type SchedulerFields = z.output<typeof fields>;
export type SchedulerConfig = Partial<SchedulerFields> & { readonly _class_name?: string };

const INFINITE = new Map<unknown, number>([
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

/**
 * Checks a scheduler_config.json.
 * @throws UserError scheduler/config, naming the field
 */
export function schedulerConfig(json: unknown): SchedulerConfig {
  const source = typeof json === "object" && json !== null ? json : {};
  const plain = Object.fromEntries(Object.entries(source).map(([key, value]) => [key, INFINITE.get(value) ?? value]));
  const lambda = plain.lambda_min_clipped;
  const finite = lambda === Number.NEGATIVE_INFINITY ? { ...plain, lambda_min_clipped: -Number.MAX_VALUE } : plain;
  const result = fields.partial().safeParse(finite);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw new UserError(
      "scheduler/config",
      `The scheduler's config is not supported: ${issue.path.join(".")}: ${issue.message}.`,
      "Choose a sampler with --scheduler (scheduler in code), or correct scheduler/scheduler_config.json.",
    );
  }
  const config = result.data as SchedulerConfig;
  if ([config.use_karras_sigmas, config.use_exponential_sigmas, config.use_beta_sigmas].filter(Boolean).length > 1)
    throw new UserError(
      "scheduler/config",
      "The scheduler's config asks for more than one of Karras, exponential and beta sigmas.",
      "Set one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas at most.",
    );
  return config;
}

/** Fields of a sampler: from the config where it has them, else the sampler's defaults. */
export function withDefaults<K extends keyof SchedulerFields>(
  config: SchedulerConfig,
  defaults: Pick<SchedulerFields, K>,
): Pick<SchedulerFields, K> {
  const known = Object.keys(defaults) as K[];
  return Object.fromEntries(known.map((key) => [key, config[key] ?? defaults[key]])) as Pick<SchedulerFields, K>;
}
