import { withExactIntegers } from "../exact-integers.ts";
import { ofInfotext } from "./a1111.ts";
import { ofComfy } from "./comfyui.ts";
import { ofFooocus } from "./fooocus.ts";
import { ofInvoke } from "./invokeai.ts";
import { type Fields, type ForeignSettings, isFields } from "./reading.ts";
import { ofSwarm } from "./swarmui.ts";

/**
 * Reads the settings that A1111's web UI (and those after it), Fooocus, ComfyUI, SwarmUI or InvokeAI wrote into a picture; undefined where none did.
 * @param texts of the picture, by keyword
 */
export function foreignSettings(texts: Readonly<Record<string, string>>): ForeignSettings | undefined {
  const invoke = jsonOf(texts.invokeai_metadata);
  if (invoke !== undefined) return ofInvoke(invoke);
  const { parameters } = texts;
  const fields = jsonOf(parameters);
  if (fields !== undefined) return isFields(fields.sui_image_params) ? ofSwarm(fields.sui_image_params) : ofFooocus(fields);
  if (parameters !== undefined) return ofInfotext(parameters);
  const graph = jsonOf(texts.prompt);
  return graph === undefined ? undefined : ofComfy(graph);
}

function jsonOf(text: string | undefined): Fields | undefined {
  if (text?.trim().startsWith("{") !== true) return undefined;
  try {
    return JSON.parse(withExactIntegers(withoutNaN(text))) as Fields;
  } catch {
    return undefined; // a prompt may begin with a brace, too
  }
}

/** JSON in place of what Python writes: numbers that JSON does not have become null. */
const withoutNaN = (text: string): string =>
  text.replace(/"(?:[^"\\]|\\.)*"|\bNaN\b|-?\bInfinity\b/g, (found) => (found.startsWith('"') ? found : "null"));
