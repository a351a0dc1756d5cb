import { type Fields, type ForeignSettings, fileOf, isFields, numberOf, Reading } from "./reading.ts";

/** Reads InvokeAI's core metadata: invokeai/app/invocations/metadata.py. */
export function ofInvoke(fields: Fields): ForeignSettings {
  const reading = new Reading("InvokeAI");
  const {
    positive_prompt,
    negative_prompt,
    steps,
    cfg_scale,
    seed,
    width,
    height,
    scheduler,
    model,
    loras,
    rand_device,
    ...rest
  } = fields;
  reading.take("prompt", positive_prompt);
  reading.take("negativePrompt", negative_prompt);
  reading.take("numInferenceSteps", numberOf(steps));
  reading.take("guidanceScale", numberOf(cfg_scale));
  reading.take("seed", seed);
  reading.size(width, height);
  reading.sampler(scheduler);
  reading.model(nameOf(model));
  reading.take("generatorDevice", rand_device === "cuda" ? "cuda" : "cpu");
  reading.loras(
    Array.isArray(loras)
      ? loras.filter(isFields).map((lora) => [fileOf(nameOf(lora.model) ?? nameOf(lora.lora)), lora.weight] as const)
      : [],
  );
  reading.leaveAll(Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== 0)));
  return reading.found;
}

function nameOf(model: unknown): unknown {
  if (!isFields(model)) return model;
  const { name, model_name } = model;
  return name ?? model_name;
}
