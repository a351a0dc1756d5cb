import { withExactIntegers } from "../exact-integers.ts";
import { ofInfotext } from "./a1111.ts";
import { ofComfy } from "./comfyui.ts";
import { ofFooocus } from "./fooocus.ts";
import { ofInvoke } from "./invokeai.ts";
import type { Fields, ForeignSettings } from "./reading.ts";
import { ofSwarm } from "./swarmui.ts";

/**
 * Reads the settings that A1111's web UI (and those after it), Fooocus, SwarmUI, ComfyUI or InvokeAI wrote into a picture; undefined where none did.
 * @param texts of the picture, by keyword
 */
export function foreignSettings(texts: Readonly<Record<string, string>>): ForeignSettings | undefined {
  const invoke = jsonOf(texts.invokeai_metadata);
  if (invoke !== undefined) return ofInvoke(invoke);
  const { parameters } = texts;
  const json = jsonOf(parameters);
  const swarm = json?.sui_image_params;
  if (typeof swarm === "object" && swarm !== null) return ofSwarm(swarm as Fields);
  if (json !== undefined) return ofFooocus(json);
  if (parameters !== undefined) return ofInfotext(parameters);
  const graph = jsonOf(texts.prompt);
  return graph === undefined ? undefined : ofComfy(graph);
}

function jsonOf(text: string | undefined): Fields | undefined {
  if (text?.trim().startsWith("{") !== true) return undefined;
  try {
    return JSON.parse(withExactIntegers(text.replace(/:\s*NaN\b/g, ": null"))) as Fields;
  } catch {
    return undefined; // a prompt may begin with a brace, too
  }
}
