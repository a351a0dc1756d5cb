import { baseName, type Fields, type ForeignSettings, fileOf, numberOf, Reading } from "./reading.ts";

/** Reads SwarmUI's parameters, with which it drives ComfyUI: src/Text2Image/T2IParamTypes.cs. */
export function ofSwarm(fields: Fields): ForeignSettings {
  const reading = new Reading("SwarmUI");
  const { prompt, negativeprompt, steps, cfgscale, seed, width, height, sampler, scheduler, model, loras, loraweights, ...rest } =
    fields;
  reading.take("prompt", prompt);
  reading.take("negativePrompt", negativeprompt);
  reading.take("numInferenceSteps", numberOf(steps));
  reading.take("guidanceScale", numberOf(cfgscale));
  reading.take("seed", seed);
  reading.size(width, height);
  reading.sampler(sampler, scheduler);
  reading.model(baseName(model));
  const weights = listOf(loraweights);
  reading.loras(listOf(loras).map((name, i) => [fileOf(baseName(name)), weights[i]] as const));
  reading.leaveAll(rest, REPEATED);
  return reading.found;
}

/** Fields that repeat others or name its own version. */
const REPEATED: ReadonlySet<string> = new Set(["swarm_version", "aspectratio", "images"]);

const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : typeof value === "string" && value !== "" ? value.split(",") : [];
