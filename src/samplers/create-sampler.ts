import { UserError } from "../core/errors.ts";
import { type SchedulerConfig, schedulerConfig } from "./config.ts";
import { ddim } from "./ddim.ts";
import { ddpm } from "./ddpm.ts";
import { dpmMultistep } from "./dpm-multistep.ts";
import { euler } from "./euler.ts";
import { eulerAncestral } from "./euler-ancestral.ts";
import { heun } from "./heun.ts";
import { lcm } from "./lcm.ts";
import { pndm } from "./pndm.ts";
import type { Sampler } from "./sampler.ts";
import { tcd } from "./tcd.ts";
import { unipc } from "./unipc.ts";

type Create = (config: SchedulerConfig, steps: number, timesteps?: readonly number[]) => Sampler;

const CLASSES: Readonly<Record<string, Create>> = {
  EulerDiscreteScheduler: (config, steps) => euler(config, steps),
  EulerAncestralDiscreteScheduler: eulerAncestral,
  HeunDiscreteScheduler: heun,
  DDIMScheduler: ddim,
  DDPMScheduler: ddpm,
  PNDMScheduler: pndm,
  DPMSolverMultistepScheduler: dpmMultistep,
  UniPCMultistepScheduler: unipc,
  LCMScheduler: lcm,
  TCDScheduler: tcd,
};

/** For each name, a class of diffusers and the fields that it sets beyond the model's own config. */
const NAMES = {
  euler: ["EulerDiscreteScheduler", {}],
  euler_a: ["EulerAncestralDiscreteScheduler", {}],
  heun: ["HeunDiscreteScheduler", {}],
  ddim: ["DDIMScheduler", {}],
  ddpm: ["DDPMScheduler", {}],
  pndm: ["PNDMScheduler", {}],
  dpmpp_2m: ["DPMSolverMultistepScheduler", {}],
  dpmpp_2m_karras: ["DPMSolverMultistepScheduler", { use_karras_sigmas: true }],
  dpmpp_2m_sde: ["DPMSolverMultistepScheduler", { algorithm_type: "sde-dpmsolver++" }],
  dpmpp_2m_sde_karras: ["DPMSolverMultistepScheduler", { algorithm_type: "sde-dpmsolver++", use_karras_sigmas: true }],
  unipc: ["UniPCMultistepScheduler", {}],
  lcm: ["LCMScheduler", {}],
  tcd: ["TCDScheduler", {}],
} as const satisfies Record<string, readonly [string, SchedulerConfig]>;

export type SamplerName = keyof typeof NAMES;
export const SAMPLER_NAMES = Object.keys(NAMES) as readonly SamplerName[];

/** Scheduler config that SDXL is published with, for models without a scheduler_config.json. */
export const SDXL_SCHEDULER: SchedulerConfig = {
  _class_name: "EulerDiscreteScheduler",
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  prediction_type: "epsilon",
  timestep_spacing: "leading",
  steps_offset: 1,
  interpolation_type: "linear",
  use_karras_sigmas: false,
  clip_sample: false,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  trained_betas: null,
};

/**
 * Creates a sampler by name, with the noise schedule of the model: diffusers' `XxxScheduler.from_config(model.scheduler.config, …)`.
 * @param name one of SAMPLER_NAMES, a class of diffusers, or undefined for the one that the config names
 * @param config a scheduler_config.json; fields it lacks are SDXL's where the file is absent, else the class's defaults
 * @param timesteps for LCM: timesteps of the model's training, one for each step, instead of the config's; other samplers ignore them
 * @example
 * ```js
 * import { createSampler, TorchCpuGenerator } from "photomaker/samplers";
 *
 * const sampler = createSampler("euler", undefined, 4);
 * console.log(sampler.timesteps.join()); // 751,501,251,1
 * const noise = new TorchCpuGenerator(42);
 * const sampling = sampler.sample(noise.randn(16).map((v) => v * sampler.initNoiseSigma), { noise });
 * let asked = sampling.next();
 * while (!asked.done) asked = sampling.next(asked.value.sample.map((v) => v / 2)); // here a model answers
 * console.log(asked.value.length); // 16
 * ```
 * @throws UserError scheduler/unknown, scheduler/config, scheduler/prediction, steps/invalid
 */
export function createSampler(name: string | undefined, config: unknown, steps: number, timesteps?: readonly number[]): Sampler {
  const own = schedulerConfig(config ?? SDXL_SCHEDULER);
  const [className, extra] = resolve(name ?? own._class_name ?? SDXL_SCHEDULER._class_name!);
  const create = CLASSES[className]!;
  const trainSteps = own.num_train_timesteps ?? 1000;
  if (!Number.isInteger(steps) || steps < 1 || steps > trainSteps)
    throw new UserError(
      "steps/invalid",
      `${steps} is no number of steps: it must be a whole number from 1 to ${trainSteps}.`,
      "50 is usual, 4 to 8 for distilled models.",
    );
  return create(schedulerConfig({ ...own, ...extra }), steps, timesteps);
}

function resolve(name: string): readonly [string, SchedulerConfig] {
  if (Object.hasOwn(NAMES, name)) return NAMES[name as SamplerName];
  if (Object.hasOwn(CLASSES, name)) return [name, {}];
  throw new UserError("scheduler/unknown", `There is no scheduler "${name}".`, `Choose one of ${SAMPLER_NAMES.join(", ")}.`);
}
