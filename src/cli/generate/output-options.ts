import { z } from "zod";

const FILES = "Input and output:";

const outputOptions = z.strictObject({
  out: z.string().default("out").meta({
    group: FILES,
    flag: "--out",
    short: "-o",
    value: "path",
    description:
      "folder for image_0.png, image_1.png … (numbering continues in an existing folder); or one file.png, which is overwritten; or - for stdout",
    otherwise: "out",
  }),
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

/** Where pictures go and what is printed: options of the command line only. `out` is a folder, the name of one PNG, or - for stdout. */
export type OutputOptions = z.output<typeof outputOptions>;
export const OutputOptions = outputOptions;
