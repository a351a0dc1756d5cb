import { z } from "zod";

/** Kinds of jobs of the tests. */
export const KINDS = { generate: z.object({ prompt: z.string() }) };

/** Where workers are killed on purpose, so that no job is set aside. */
export const PATIENCE = { attempts: 1000, losses: 1000 };
