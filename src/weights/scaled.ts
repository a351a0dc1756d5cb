import { UserError } from "../core/errors.ts";
import { readBytes } from "./read-tensor.ts";
import { elementCount, type TensorEntry, type Tensors } from "./tensor-entry.ts";

const REMEDY =
  "Give the weights in float32, float16, bfloat16 or 8-bit floats; the model's page has such a file beside this one.";

const refused = (path: string, what: string): UserError =>
  new UserError("weights/number-format", `${path} holds weights as ${what}, which is not supported.`, REMEDY);

/** Names by which formats are known whose weights are more than a number times a scale. */
const FORMATS: readonly (readonly [RegExp, string])[] = [
  [/\.quant_state\.bitsandbytes__(nf4|fp4)$/, "bitsandbytes' 4 bits"],
  [/\.(quant_map|nested_absmax|absmax)$/, "bitsandbytes' 4 or 8 bits in blocks"],
  [/\.(SCB|weight_format)$/, "bitsandbytes' int8"],
  [/\.weight_scale_2$/, "nvfp4"],
  [/\.(qweight|qzeros)$/, "GPTQ's or AWQ's integers"],
  [/\.svdq_|\.wscales$|\.(proj_down|proj_up|smooth_factor)$/, "SVDQuant's 4 bits"],
  [/\.weight\._(data|scale|packed)$/, "quanto's numbers"],
];

/** Parts of a layer that scale its weight, in the old and in the new spellings, and what they are called beside it. */
const SCALE = /^(.*?)(scale_weight|weight_scale|weight_scale_inv)$/;
/** What may scale a weight in a way that is not known here. */
const OTHER_SCALE = /^(.*\.)[^.]*scale[^.]*$/;

/** What quantising programs note beside scaled weights and what pictures can do without: ranges of inputs, and marks. */
const NOTES = /(^|\.)(scale_input|input_scale|scaled_fp8|comfy_quant)$/;

/** Formats of a `comfy_quant` note whose weights are numbers times one scale, or one for each row. */
const SCALED_FORMATS: readonly unknown[] = ["float8_e4m3fn", "float8_e5m2", "int8_tensorwise"];

const isInteger = ({ dtype }: TensorEntry): boolean => /^([IU]\d|BOOL)/.test(dtype);

/**
 * Tensors whose scaled weights carry their scales: W = number · scale, with one scale or one for each row. Scales and notes of the
 * format are no tensors of their own any more. Tensors without any of this are returned as they are.
 *
 * @param path names the file in messages
 * @throws UserError weights/number-format for every other format of integers or blocks; weights/scale if scale and weight do not fit
 * @see ComfyUI comfy/ops.py, fp8_ops and mixed_precision_ops
 */
export async function withScales(tensors: Tensors, path: string): Promise<Tensors> {
  for (const name of tensors.keys()) {
    const format = FORMATS.find(([pattern]) => pattern.test(name))?.[1];
    if (format !== undefined) throw refused(path, `${format} ("${name}")`);
  }
  for (const entry of tensors.values())
    if (/(^|\.)comfy_quant$/.test(entry.name)) {
      const format = await formatIn(entry);
      if (!SCALED_FORMATS.includes(format))
        throw refused(path, `${format ?? "numbers of an unreadable format"} ("${entry.name}")`);
    }

  const out = new Map<string, TensorEntry>();
  const scaled = new Map<string, TensorEntry>();
  for (const entry of tensors.values()) {
    const [, layer = "", spelling] = SCALE.exec(entry.name) ?? [];
    const weight = spelling === undefined ? undefined : tensors.get(`${layer}weight`);
    if (weight !== undefined && isScalable(weight)) {
      if (scaled.has(weight.name))
        throw new UserError("weights/scale", `${path}: "${weight.name}" has two scales.`, "Download the file again.");
      scaled.set(weight.name, { ...weight, scale: fitting(entry, weight, path) });
    } else if (!NOTES.test(entry.name)) out.set(entry.name, entry);
  }
  for (const name of out.keys()) {
    const weight = tensors.get(`${OTHER_SCALE.exec(name)?.[1]}weight`);
    if (weight !== undefined && isScalable(weight)) throw refused(path, `numbers with scales that are not known ("${name}")`);
  }
  for (const [name, weight] of scaled) out.set(name, weight);
  refuseRaw(out, path);
  return scaled.size === 0 && out.size === tensors.size ? tensors : out;
}

const isScalable = ({ dtype }: TensorEntry): boolean => dtype === "F8_E4M3" || dtype === "F8_E5M2" || dtype === "I8";

function fitting(scale: TensorEntry, weight: TensorEntry, path: string): TensorEntry {
  const count = elementCount(scale.shape);
  const rows = weight.shape[0];
  const blocks = scale.shape.length > 1 && scale.shape.slice(1).some((size) => size !== 1);
  if (blocks) throw refused(path, `numbers with a scale for each block ("${scale.name}" [${scale.shape}])`);
  if (isInteger(scale)) throw refused(path, `numbers with scales of ${scale.dtype} ("${scale.name}"), as mxfp8 has them`);
  if (count !== 1 && (count !== rows || scale.shape[0] !== rows))
    throw new UserError(
      "weights/scale",
      `${path}: "${scale.name}" [${scale.shape}] does not fit "${weight.name}" [${weight.shape}].`,
      "It must be one number or one for each row: write or download the file again.",
    );
  return { ...scale, shape: count === 1 ? [] : [count] };
}

/** @throws UserError weights/number-format for a weight of integers that nothing scales */
function refuseRaw(tensors: Tensors, path: string): void {
  for (const entry of tensors.values())
    if (isInteger(entry) && entry.scale === undefined && /(^|[._])(weight|lora_[AB]|lora_down|lora_up)$/.test(entry.name))
      throw refused(path, `integers (${entry.dtype}) without scales ("${entry.name}")`);
}

async function formatIn(note: TensorEntry): Promise<string | undefined> {
  if (elementCount(note.shape) > 4096) return undefined;
  try {
    const { format, convrot } = JSON.parse(new TextDecoder().decode(await readBytes(note))) as Record<string, unknown>;
    return typeof format !== "string" ? undefined : convrot === true ? `${format}, turned (ConvRot)` : format;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
