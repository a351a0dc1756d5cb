import { z } from "zod";
import { fromBase64, toBase64 } from "./base64.ts";
import { withJsonForm } from "./option.ts";

const DATA_URL = /^data:([^,;]*)(?:;[^,;]*)*,/i;

/**
 * A picture file: its path, or its bytes. In JSON bytes are a data URL, such as `data:image/png;base64,iVBO…`, which becomes bytes
 * when it is parsed; every other text is a path.
 */
export const photo = withJsonForm(
  z.union([z.string().min(1), z.custom<Uint8Array>((value) => value instanceof Uint8Array)]).transform((value, context) => {
    if (typeof value !== "string" || !DATA_URL.test(value)) return value;
    const [head] = DATA_URL.exec(value)!;
    const bytes = /;base64,$/i.test(head) ? fromBase64(value.slice(head.length)) : undefined;
    if (bytes !== undefined && bytes.length > 0) return bytes;
    context.addIssue({ code: "custom", message: "a data URL must hold base64, as in data:image/png;base64,iVBO…" });
    return z.NEVER;
  }),
  {
    type: "string",
    minLength: 1,
    description: "the path of a picture file, or its bytes as a data URL: data:image/png;base64,…",
  },
);

/** A picture file: its path, or its bytes. */
export type Photo = z.output<typeof photo>;

/** The JSON form of a photo. */
export const photoJson = (given: Photo): string =>
  typeof given === "string" ? given : `data:${kindOf(given)};base64,${toBase64(given)}`;

/** Media type from the first bytes; readers also decide by the content. */
function kindOf(bytes: Uint8Array): string {
  const first = String.fromCharCode(...bytes.subarray(0, 12));
  if (first.startsWith("\x89PNG")) return "image/png";
  if (first.startsWith("\xff\xd8")) return "image/jpeg";
  if (first.startsWith("RIFF") && first.endsWith("WEBP")) return "image/webp";
  if (first.slice(4, 12) === "ftypavif") return "image/avif";
  if (first.startsWith("BM")) return "image/bmp";
  return "application/octet-stream";
}
