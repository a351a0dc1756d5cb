export interface Infotext {
  readonly prompt: string;
  readonly negativePrompt?: string | undefined;
  /** For example ["Steps", 50], ["Sampler", "Euler"], ["Size", "1024x1024"]. Readers expect at least three. */
  readonly settings: readonly (readonly [name: string, value: string | number])[];
}

/**
 * Settings as the text that tools for Stable Diffusion pictures read from a PNG's `parameters`.
 * It is for people and other programs: a prompt that contains a line "Negative prompt:" cannot be parsed back.
 *
 * @see AUTOMATIC1111/stable-diffusion-webui 0365002 modules/infotext_utils.py parse_generation_parameters, quote
 */
export function infotext({ prompt, negativePrompt, settings }: Infotext): string {
  const negative = negativePrompt ? [`Negative prompt: ${negativePrompt}`] : [];
  const last = settings.map(([name, value]) => `${name}: ${quoted(String(value))}`).join(", ");
  return [prompt, ...negative, last].join("\n").trim();
}

/** JSON-quoted if a reader would otherwise end the value early, or take its quotes for syntax. */
const quoted = (value: string): string => (/[,:\n]|^"/.test(value) ? JSON.stringify(value) : value);
