import { z } from "zod";

/** Kinds of jobs of the tests. */
export const KINDS = { generate: z.object({ prompt: z.string() }) };
