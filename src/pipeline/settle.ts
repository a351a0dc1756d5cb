import type { GenerateRequest } from "../contract/request.ts";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import type { SchedulerConfig } from "../samplers/config.ts";
import { createSampler, SDXL_SCHEDULER } from "../samplers/create-sampler.ts";
import { isEdm } from "../samplers/edm.ts";
import type { Sampler } from "../samplers/sampler.ts";
import type { Detected, FewStep } from "./load/few-step.ts";

/** A request with the defaults that depend on the model. */
export type SettledRequest = GenerateRequest & {
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
  readonly eta: number;
};

/** Defaults of diffusers and of the official demo. */
const USUAL = { numInferenceSteps: 50, guidanceScale: 5, eta: 0 };

/**
 * Fills in the defaults of a request that depend on the model: a few-step model's own, otherwise the usual ones.
 * @returns the request, and a notice if given values do not suit the few-step model
 */
export function settle(
  request: GenerateRequest,
  detected: Detected | undefined,
): { readonly request: SettledRequest; readonly notices: readonly Notice[] } {
  if (detected === undefined)
    return {
      request: {
        ...request,
        numInferenceSteps: request.numInferenceSteps ?? USUAL.numInferenceSteps,
        guidanceScale: request.guidanceScale ?? USUAL.guidanceScale,
        eta: request.eta ?? USUAL.eta,
      },
      notices: [],
    };
  const { fewStep } = detected;
  const scheduler = request.scheduler ?? fewStep.scheduler;
  const timestepSpacing = request.timestepSpacing ?? fewStep.timestepSpacing;
  const settled: SettledRequest = {
    ...request,
    scheduler,
    ...(timestepSpacing && { timestepSpacing }),
    numInferenceSteps: request.numInferenceSteps ?? fewStep.steps,
    guidanceScale: request.guidanceScale ?? fewStep.guidanceScale,
    eta: request.eta ?? (scheduler === fewStep.scheduler ? fewStep.eta : undefined) ?? USUAL.eta,
  };
  const against = conflicts(settled, fewStep);
  if (against.length === 0) return { request: settled, notices: [] };
  const message = `${fewStep.name} is made for other options; the given ones are kept: ${against.join("; ")}.`;
  return { request: settled, notices: [{ code: "few-step/other-settings", message }] };
}

function conflicts(given: SettledRequest, wanted: FewStep): string[] {
  const [from, to] = wanted.stepsRange;
  const steps = from === to ? `${to}` : `${from} to ${to}`;
  const against: string[] = [];
  if (given.numInferenceSteps < from || given.numInferenceSteps > to)
    against.push(`${given.numInferenceSteps} steps instead of ${steps}`);
  if (Math.max(1, given.guidanceScale) > wanted.guidanceUpTo)
    against.push(`guidance ${given.guidanceScale} instead of ${wanted.guidanceScale}`);
  if (given.scheduler !== wanted.scheduler) against.push(`scheduler ${given.scheduler} instead of ${wanted.scheduler}`);
  if (given.timestepSpacing !== wanted.timestepSpacing && wanted.timestepSpacing !== undefined)
    against.push(`${given.timestepSpacing} timesteps instead of ${wanted.timestepSpacing}`);
  return against;
}

/** Notice about the recognised model: by which evidence, and the defaults that it sets. */
export function fewStepNotices(detected: Detected | undefined): Notice[] {
  if (detected === undefined) return [];
  const { fewStep, by } = detected;
  const spacing = fewStep.timestepSpacing === undefined ? "" : ` with ${fewStep.timestepSpacing} timesteps`;
  const eta = fewStep.eta === undefined ? "" : `, eta ${fewStep.eta}`;
  const guidance = fewStep.guidanceScale > 1 ? `guidance ${fewStep.guidanceScale}` : "no guidance (1)";
  const message = `This is ${fewStep.name}, by ${by}: defaults are scheduler ${fewStep.scheduler}${spacing}${eta}, ${fewStep.steps} step${fewStep.steps === 1 ? "" : "s"}, ${guidance}.`;
  return [{ code: "few-step/detected", message }];
}

/** What a single file alone says of its prediction, with the schedule that SDXL shares. With zero terminal SNR the last timestep counts. */
function completed(config: unknown): unknown {
  if (typeof config !== "object" || config === null || "_class_name" in config) return config;
  const zeroSnr = (config as SchedulerConfig).rescale_betas_zero_snr === true;
  return { ...SDXL_SCHEDULER, ...(zeroSnr && { timestep_spacing: "trailing" }), ...config };
}

/**
 * Creates the sampler of a settled request.
 * @param config content of the model's scheduler_config.json
 * @throws UserError as createSampler; scheduler/edm for a spacing of timesteps that the model has not
 */
export function samplerOf(request: SettledRequest, config: unknown, detected: Detected | undefined): Sampler {
  const { scheduler, numInferenceSteps: steps, timestepSpacing } = request;
  const predictionType = detected?.fewStep.predictionType;
  const changes: SchedulerConfig = {
    ...(timestepSpacing && { timestep_spacing: timestepSpacing }),
    ...(predictionType && { prediction_type: predictionType }),
  };
  const full = completed(config);
  // a few-step model's own spacing means nothing here either, and nobody asked for it
  if (isEdm(full) && timestepSpacing !== undefined && timestepSpacing !== detected?.fewStep.timestepSpacing)
    throw new UserError(
      "scheduler/edm",
      `Timesteps spaced "${timestepSpacing}" are asked for, and this model was trained over continuous noise levels (EDM), which has none to space.`,
      "Leave out --timestep-spacing (timestepSpacing in code).",
    );
  const own = Object.keys(changes).length === 0 ? full : { ...(full ?? SDXL_SCHEDULER), ...changes };
  const timesteps = scheduler === detected?.fewStep.scheduler ? detected?.fewStep.timesteps : undefined;
  return createSampler(scheduler, own, steps, timesteps?.length === steps ? timesteps : undefined);
}
