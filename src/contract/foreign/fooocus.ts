import { type Fields, type ForeignSettings, numberOf, Reading } from "./reading.ts";

/** Reads Fooocus' own form: modules/meta_parser.py. */
export function ofFooocus(fields: Fields): ForeignSettings {
  const reading = new Reading("Fooocus");
  const {
    prompt,
    negative_prompt,
    steps,
    guidance_scale,
    seed,
    resolution,
    sampler,
    scheduler,
    base_model,
    loras,
    clip_skip,
    ...rest
  } = fields;
  reading.take("prompt", prompt);
  reading.take("negativePrompt", negative_prompt);
  reading.take("numInferenceSteps", numberOf(steps));
  reading.take("guidanceScale", numberOf(guidance_scale));
  reading.take("seed", seed);
  const [, width, height] = /(\d+)\D+(\d+)/.exec(String(resolution ?? "")) ?? [];
  reading.size(width, height);
  reading.sampler(sampler, scheduler);
  reading.model(base_model);
  reading.loras(
    Array.isArray(loras) ? loras.filter((lora) => Array.isArray(lora)).map(([name, scale]) => [name, scale] as const) : [],
  );
  const skip = (numberOf(clip_skip) ?? 2) - 2; // its 2 is SDXL's own
  if (skip > 0) reading.take("clipSkip", skip);
  reading.leaveAll(rest, PLACES);
  return reading.found;
}

/** Fields of Fooocus that repeat others or name its own version. */
const PLACES: ReadonlySet<string> = new Set(["full_prompt", "full_negative_prompt", "metadata_scheme"]);
