import { type ForeignSettings, numberOf, Reading } from "./reading.ts";

/** Reads the prompt, "Negative prompt: …", and a last line of settings: A1111's modules/infotext_utils.py parse_generation_parameters. */
export function ofInfotext(text: string): ForeignSettings | undefined {
  const lines = text.trim().split(/\r?\n/);
  const settings = [...(lines.at(-1) ?? "").matchAll(/\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/g)].map(
    ([, name, value]) => [name!, value!.startsWith('"') ? unquoted(value!) : value!.trim()] as const,
  );
  if (settings.length < 3) return undefined;
  const words = lines.slice(0, -1);
  const negative = words.findIndex((line) => line.startsWith("Negative prompt:"));
  const end = negative < 0 ? words.length : negative;
  const reading = new Reading("A1111's web UI or one of its kin");
  reading.take("prompt", words.slice(0, end).join("\n").trim());
  reading.take("negativePrompt", words.slice(end).join("\n").replace("Negative prompt:", "").trim());
  const fields = new Map(settings);
  const taken: Readonly<Record<string, (value: string) => void>> = {
    Steps: (value) => reading.take("numInferenceSteps", numberOf(value)),
    "CFG scale": (value) => reading.take("guidanceScale", numberOf(value)),
    Seed: (value) => reading.take("seed", value),
    Size: (value) => reading.size(...(value.split("x") as [string, string])),
    Model: (value) => reading.model(value),
    Sampler: (value) => reading.sampler(value, fields.get("Schedule type")),
    "Schedule type": () => {},
    RNG: () => {},
    // A1111 takes SDXL's last layer but one whatever it is
    "Clip skip": (value) => (numberOf(value)! > 2 ? reading.leave("Clip skip", value) : undefined),
  };
  for (const [name, value] of settings) (taken[name] ?? ((v: string) => reading.leave(name, v)))(value);
  reading.take("generatorDevice", fields.get("RNG") === "CPU" ? "cpu" : "cuda");
  return reading.found;
}

function unquoted(value: string): string {
  try {
    return JSON.parse(value) as string;
  } catch {
    return value;
  }
}
