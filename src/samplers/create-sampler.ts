import { UserError } from "../core/errors.ts";
import { type SchedulerConfig, schedulerConfig } from "./config.ts";
import { ddim, ddimOver } from "./ddim.ts";
import { ddpm } from "./ddpm.ts";
import { dpmMultistep, dpmMultistepOver } from "./dpm-multistep.ts";
import { edmLadder, isEdm } from "./edm.ts";
import { euler, eulerOver } from "./euler.ts";
import { eulerAncestral, eulerAncestralOver } from "./euler-ancestral.ts";
import { heun, heunOver } from "./heun.ts";
import type { Ladder } from "./ladder.ts";
import { lcm } from "./lcm.ts";
import { pndm } from "./pndm.ts";
import type { Sampler } from "./sampler.ts";
import { solverLadder } from "./solver-schedule.ts";
import { tcd } from "./tcd.ts";
import { unipc, unipcOver } from "./unipc.ts";

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

/** Samplers over the continuous noise levels of EDM: those of {@link CLASSES} that compute with noise levels rather than with timesteps. */
const EDM_CLASSES: Readonly<Record<string, (ladder: Ladder, config: SchedulerConfig) => Sampler>> = {
  EDMEulerScheduler: (ladder) => eulerOver(ladder),
  EDMDPMSolverMultistepScheduler: (ladder, config) => dpmMultistepOver(solverLadder(ladder), config),
  EulerDiscreteScheduler: (ladder) => eulerOver(ladder),
  EulerAncestralDiscreteScheduler: (ladder) => eulerAncestralOver(ladder),
  DDIMScheduler: (ladder) => ddimOver(ladder),
  HeunDiscreteScheduler: (ladder) => heunOver(ladder),
  DPMSolverMultistepScheduler: (ladder, config) => dpmMultistepOver(solverLadder(ladder), config),
  UniPCMultistepScheduler: (ladder, config) => unipcOver(solverLadder(ladder), config),
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

/** Names of the samplers for models that were trained over continuous noise levels. */
export const EDM_NAMES: readonly SamplerName[] = SAMPLER_NAMES.filter((name) => Object.hasOwn(EDM_CLASSES, NAMES[name][0]));

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
 * @throws UserError scheduler/unknown, scheduler/config, scheduler/prediction, scheduler/edm, steps/invalid
 */
export function createSampler(name: string | undefined, config: unknown, steps: number, timesteps?: readonly number[]): Sampler {
  const own = schedulerConfig(config ?? SDXL_SCHEDULER);
  const [className, extra] = resolve(name ?? own._class_name ?? SDXL_SCHEDULER._class_name!);
  const trainSteps = own.num_train_timesteps ?? 1000;
  if (!Number.isInteger(steps) || steps < 1 || steps > trainSteps)
    throw new UserError(
      "steps/invalid",
      `${steps} is no number of steps: it must be a whole number from 1 to ${trainSteps}.`,
      "50 is usual, 4 to 8 for distilled models.",
    );
  const whole = schedulerConfig({ ...own, ...extra });
  if (!isEdm(own) && !isEdm({ _class_name: className })) return CLASSES[className]!(whole, steps, timesteps);
  if (EDM_CLASSES[className] === undefined)
    throw new UserError(
      "scheduler/edm",
      `${name} computes with the timesteps of SDXL's training, and this model was trained over continuous noise levels (EDM).`,
      `Choose one of ${EDM_NAMES.join(", ")}.`,
    );
  return EDM_CLASSES[className](edmLadder(whole, steps), whole);
}

function resolve(name: string): readonly [string, SchedulerConfig] {
  if (Object.hasOwn(NAMES, name)) return NAMES[name as SamplerName];
  if (Object.hasOwn(CLASSES, name) || Object.hasOwn(EDM_CLASSES, name)) return [name, {}];
  throw new UserError("scheduler/unknown", `There is no scheduler "${name}".`, `Choose one of ${SAMPLER_NAMES.join(", ")}.`);
}
