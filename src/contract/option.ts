import { z } from "zod";

/**
 * Metadata of an option, in its schema's `.meta()`. The command line's flags and help, the JSON Schema, the texts of
 * errors and the text in a picture are derived from it.
 */
export interface OptionMeta {
  /** Heading under which the help lists it. */
  readonly group: string;
  /** Meaning for the user: the help of the command line, and the description in the JSON Schema. */
  readonly description: string;
  /** Default in words, where the schema has none or its value alone says too little. */
  readonly otherwise?: string;
  /** Flag such as `--steps`; an option without a flag is for code and config files only. */
  readonly flag?: string;
  /** Short flag such as `-s`. */
  readonly short?: string;
  /** Placeholder of its value in the help: `count`, or `files...` for a list. */
  readonly value?: string;
  /** Whether its value names files to read. */
  readonly file?: boolean;
  /** Key of the option after which the help lists it, where that differs from the schema's order. */
  readonly after?: string;
  /** Part before the slash in its errors' codes; its key in kebab case when absent. */
  readonly subject?: string;
  /** Remedy of its errors, where the error itself has none. */
  readonly hint?: string;
  /** Its name in the text that other tools read from a picture, as in A1111. */
  readonly infotext?: string;
}

/** All keys of {@link OptionMeta}. */
export const META_KEYS = [
  "group",
  "description",
  "otherwise",
  "flag",
  "short",
  "value",
  "file",
  "after",
  "subject",
  "hint",
  "infotext",
] as const satisfies readonly (keyof OptionMeta)[];

/** Metadata of an option's schema, if any. */
export const metaOf = (schema: z.ZodType | undefined): OptionMeta | undefined => schema?.meta() as OptionMeta | undefined;

/** The schema of an option's value, without default and optionality. */
export function valueSchema(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return valueSchema(schema.unwrap());
  return schema;
}

/**
 * Gives a schema its JSON Schema, for values whose form in JSON differs from the one in code.
 * @param json JSON Schema of the form in JSON
 */
export function withJsonForm<T extends z.ZodType>(schema: T, json: z.core.JSONSchema.BaseSchema): T {
  schema._zod.toJSONSchema = () => ({ ...json }); // zod's hook for this; zod adds the metadata to what is returned
  return schema;
}
