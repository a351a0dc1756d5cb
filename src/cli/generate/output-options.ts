import { z } from "zod";
import { PICTURE_FORMATS } from "../../image/picture-format.ts";

const FILES = "Input and output:";

const outputOptions = z.strictObject({
  out: z.string().default("out").meta({
    group: FILES,
    flag: "--out",
    short: "-o",
    value: "path",
    description:
      "folder for image_0.png, image_1.png … (numbering continues in an existing folder); or one file (.png, .jpg, .webp), which is overwritten; or - for stdout",
    otherwise: "out",
  }),
  /** The one that `out` ends in when absent, else PNG. */
  format: z
    .preprocess(
      (name) => (typeof name === "string" ? name.toLowerCase().replace(/^jpg$/, "jpeg") : name),
      z.enum(PICTURE_FORMATS),
    )
    .optional()
    .meta({
      group: FILES,
      flag: "--format",
      value: "name",
      description: `${PICTURE_FORMATS.join(", ")}: all of them hold the settings`,
      otherwise: "as --out ends, or png",
    }),
  quality: z.int().min(1).max(100).optional().meta({
    group: FILES,
    flag: "--quality",
    value: "number",
    description: "1 to 100, of jpeg and webp",
    otherwise: "90",
    hint: "90 is hard to tell from the PNG; 75 is smaller by half.",
  }),
  lossless: z.boolean().optional().meta({ group: FILES, flag: "--lossless", description: "write webp without loss" }),
  saveLatents: z.string().optional().meta({
    group: FILES,
    flag: "--save-latents",
    value: "file",
    description: "write the initial noise and the final latents to a safetensors file",
  }),
  json: z.boolean().default(false).meta({
    group: FILES,
    flag: "--json",
    description: "print one JSON object: paths, seeds, settings, times; or the error",
  }),
  quiet: z.boolean().default(false).meta({ group: FILES, flag: "--quiet", short: "-q", description: "show no progress" }),
});

/** Where pictures go and what is printed: options of the command line only. `out` is a folder, the name of one picture, or - for stdout. */
export type OutputOptions = z.output<typeof outputOptions>;
export const OutputOptions = outputOptions;
