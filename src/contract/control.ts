import { z } from "zod";
import { photo } from "./photo.ts";

/** A hint about shape, such as a pose or edges: ControlNet, Zhang et al. 2023 (arXiv 2302.05543). */
export const control = z.strictObject({
  /** A ControlNet for SDXL: a folder, a file, or a repository of the hub. */
  model: z.string().min(1),
  /** The hint's picture. */
  image: photo,
  /** Strength of the hint. */
  scale: z.number().min(-100).max(100).default(1),
  /** Range of the steps in which the hint is followed, as shares from 0 to 1. */
  from: z.number().min(0).max(1).default(0),
  to: z.number().min(0).max(1).default(1),
});

export type Control = z.output<typeof control>;
