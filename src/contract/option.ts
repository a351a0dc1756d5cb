import { z } from "zod";

/**
 * What is said once of an option, in its schema's `.meta()`. The command line's flags and help, the JSON Schema, the words of
 * errors and the text in a picture follow from it.
 */
export interface OptionMeta {
  /** Heading under which the help lists it. */
  readonly group: string;
  /** What it means, for a user: the help of the command line, and the description in a JSON Schema. */
  readonly description: string;
  /** What it is when it is not given, in words, where the schema has no default or its value alone says too little. */
  readonly otherwise?: string;
  /** `--steps`; an option without a flag is for code and config files alone. */
  readonly flag?: string;
  /** `-s` */
  readonly short?: string;
  /** What stands for its value in the help: `count`, or `files...` for a list. */
  readonly value?: string;
  /** Whether its text names a file that is read, or holds such names. */
  readonly file?: boolean;
  /** Key of the option behind which the help shows it, where that is not the schema's order. */
  readonly after?: string;
  /** What stands before the slash of its errors' codes; its key in kebab case when absent. */
  readonly subject?: string;
  /** The remedy of its errors, where the error itself knows none. */
  readonly hint?: string;
  /** Its name in the text that other tools read from a picture, as A1111 calls it. */
  readonly infotext?: string;
}

/** The names that {@link OptionMeta} may have. */
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

/** What is said of an option; undefined where nothing is. */
export const metaOf = (schema: z.ZodType | undefined): OptionMeta | undefined => schema?.meta() as OptionMeta | undefined;

/** The schema of an option's value, without its default and whether it may be absent. */
export function valueSchema(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return valueSchema(schema.unwrap());
  return schema;
}

/**
 * A schema whose form in JSON Schema is given: for values that have another form in code than in JSON.
 * @param json of the form in JSON
 */
export function withJsonForm<T extends z.ZodType>(schema: T, json: z.core.JSONSchema.BaseSchema): T {
  schema._zod.toJSONSchema = () => ({ ...json }); // zod's own door for this: it adds the metadata to what is returned
  return schema;
}
