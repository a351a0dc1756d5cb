import { baseName, type Fields, type ForeignSettings, fileOf, numberOf, Reading } from "./reading.ts";

/** Reads SwarmUI's parameters: src/Text2Image/T2IParamInput.cs GenMetadataObject. */
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
  const weights = Array.isArray(loraweights) ? loraweights : [];
  reading.loras(Array.isArray(loras) ? loras.map((lora, i) => [fileOf(baseName(lora)), weights[i]] as const) : []);
  reading.leaveAll(rest, REPEATED);
  return reading.found;
}

/** Fields that repeat others or name its own version. */
const REPEATED: ReadonlySet<string> = new Set(["aspectratio", "swarm_version"]);
