import { z } from "zod";
import { type FloatArray, floats } from "../core/array.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { withJsonForm } from "./option.ts";

/** A numeric array in JSON, row-major: `data` is a list, or base64 of little-endian float32. */
export interface JsonNumbers {
  readonly dims: readonly number[];
  readonly data: readonly number[] | string;
}

/** Schema of a numeric array: {@link FloatArray} or its JSON form, parsed to a FloatArray. */
export const numbers = withJsonForm(
  z
    .custom<FloatArray | JsonNumbers>((value) => typeof value === "object" && value !== null && "data" in value)
    .transform((value, context): FloatArray => {
      const read = readNumbers(value);
      if (typeof read !== "string") return read;
      context.addIssue({ code: "custom", message: read, continue: true }); // in a union, zod reports the member with this message
      return z.NEVER;
    }),
  {
    type: "object",
    description: "numeric array, row-major",
    properties: {
      dtype: { const: "f32" },
      dims: { type: "array", items: { type: "integer", minimum: 0 }, minItems: 1 },
      data: {
        anyOf: [
          { type: "array", items: { type: "number" } },
          { type: "string", contentEncoding: "base64", description: "float32, little-endian" },
        ],
      },
    },
    required: ["dims", "data"],
    additionalProperties: false,
  },
);

/** The JSON form of a numeric array, in base64: exact, and a third of a list's length. */
export function numbersJson({ dims, data }: FloatArray): JsonNumbers & { readonly data: string } {
  const bytes = new Uint8Array(data.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of data.entries()) view.setFloat32(i * 4, value, true);
  return { dims, data: toBase64(bytes) };
}

/** Parses a numeric array. @returns the array, or a text that says what is wrong */
function readNumbers(value: FloatArray | JsonNumbers): FloatArray | string {
  const { dims, data } = value;
  if (!Array.isArray(dims) || dims.length === 0 || !dims.every((d) => Number.isSafeInteger(d) && d >= 0))
    return "dims must be a list of whole numbers, the shape";
  const read = data instanceof Float32Array ? data : readData(data);
  if (typeof read === "string") return read;
  const count = dims.reduce((a, b) => a * b, 1);
  if (read.length !== count) return `${read.length} values do not fill dims [${dims.join(", ")}]`;
  return "dtype" in value && value.dtype === "f32" && read === data ? (value as FloatArray) : floats(read, ...dims);
}

function readData(data: unknown): Float32Array | string {
  if (Array.isArray(data))
    return data.every((v) => typeof v === "number" && Number.isFinite(v))
      ? Float32Array.from(data)
      : "data has entries that are not numbers";
  const bytes = typeof data === "string" ? fromBase64(data) : undefined;
  if (bytes === undefined || bytes.length % 4 !== 0)
    return "data must be a Float32Array; in JSON a list of numbers, or base64 of float32 (`requestJson` writes it)";
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(i * 4, true));
}
