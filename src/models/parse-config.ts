import { z } from "zod";
import { UserError } from "../core/errors.ts";
import type { Tensors } from "../weights/tensor-entry.ts";

/**
 * Reads a component's config.json. Fields that no model here needs are ignored; those that would change the
 * results are in the schema, with the only values that are supported.
 * @throws UserError model/config, naming the field
 */
export function parseConfig<S extends z.ZodType>(schema: S, config: unknown, component: string): z.output<S> {
  const result = schema.safeParse(config);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw unsupported(component, `${issue.path.join(".") || "it"}: ${issue.message}`);
  }
  const read = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  for (const key of read) {
    const value = (result.data as Record<string, unknown>)[key];
    if (isEnormous(value)) throw unsupported(component, `${key}: it is far too large`);
  }
  return result.data;
}

const unsupported = (component: string, what: string): UserError =>
  new UserError(
    "model/config",
    `The config of ${component} is not supported: ${what}.`,
    "Use a Stable Diffusion XL model with the config.json files that it was published with.",
  );

/** Far above every size, such as SDXL's 49408 tokens: models would be built layer by layer until memory ends. */
const LARGEST = 1_000_000;
const MOST_ENTRIES = 1000;
const isEnormous = (value: unknown): boolean =>
  typeof value === "number" ? value > LARGEST : Array.isArray(value) && (value.length > MOST_ENTRIES || value.some(isEnormous));

/**
 * Refuses a config whose fields contradict one another.
 * @param rules what must hold, and what is said where it does not, such as "norm_num_groups: 7 does not divide 320"
 * @throws UserError model/config
 */
export function refuseContradictions(component: string, rules: readonly (readonly [holds: boolean, what: string])[]): void {
  for (const [holds, what] of rules) if (!holds) throw unsupported(component, what);
}

/** A field that must have this value, or be absent. */
export const only = <T extends string | number | boolean | null>(value: T) => z.literal(value).default(value as never);

/** Dimension `axis` of the tensor `name`. */
export function dimOf(tensors: Tensors, name: string, axis: number, component: string): number {
  const d = tensors.get(name)?.shape[axis];
  if (d === undefined)
    throw new UserError(
      "weights/missing",
      `${component} has no weight "${name}".`,
      "The file is incomplete or of another model: download it again, or choose a Stable Diffusion XL model.",
    );
  return d;
}

/** The number of entries prefix0, prefix1, …, each followed by a dot. */
export function countOf(tensors: Tensors, prefix: string): number {
  const numbers = new Set<number>();
  for (const name of tensors.keys()) if (name.startsWith(prefix)) numbers.add(Number.parseInt(name.slice(prefix.length), 10));
  return numbers.size;
}

/** The error for weights without a config whose sizes are not SDXL's: only the config could give `what`. */
export function needsConfig(component: string, what: string): UserError {
  return new UserError(
    "model/config-needed",
    `The weights of ${component} do not show ${what}, and SDXL's values do not fit them.`,
    "Give the folder with the model's config.json files: --model-config <folder> (modelConfig in code).",
  );
}
