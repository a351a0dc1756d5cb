import type { UNetConfig } from "../../models/unet.ts";
import type { Feeds } from "../../runtime/runtime.ts";
import type { GraphExtension, UNetPart } from "../../sessions/unet-form.ts";
import type { Evaluation, Guidance, Told } from "./guidance.ts";

/** What an extension is checked against. */
export interface Checked {
  readonly config: UNetConfig;
  /** How many the sampler makes in all. */
  readonly evaluations: number;
  /** Names of the other extensions of the request. */
  readonly beside: ReadonlySet<string>;
}

/** One run of the UNet: as many rows of an evaluation as are computed at once. */
export interface Run {
  readonly at: Evaluation;
  readonly rows: readonly Told[];
  /** Place of the first of them among all rows of the evaluation. */
  readonly from: number;
}

/** An extension at work: for one drawing, in which size and number of pictures stay the same. */
export interface ActiveExtension {
  /** What takes the guidance's place at this evaluation. */
  guide?(guidance: Guidance, at: Evaluation): Guidance;
  /** Is told of each evaluation before its runs. @param rows all of its rows */
  begin?(rows: readonly Told[], at: Evaluation): void;
  /** Inputs to be added, or to take the place of others. @param feeds those so far */
  feeds?(feeds: Feeds, run: Run): Feeds | Promise<Feeds>;
  /** Outputs that it wants of this run beside `noise`. */
  wants?(run: Run): readonly string[];
  /** @param answer what came of a run: what was wanted, and what parts of the UNet gave to later ones */
  took?(answer: Feeds, run: Run): void;
}

/**
 * A change of the UNet that a request asks for: of its graph, and of what is fed to it. DeepCache is one; residuals of a ControlNet, terms of
 * an IP-Adapter and masks of attention are inputs that `rewrite` adds and `feeds` fills.
 */
export interface UNetExtension extends GraphExtension {
  /** By which others can refuse it. */
  readonly name: string;
  /** @throws UserError if it makes no sense for this model, or beside another */
  check?(checked: Checked): void;
  /** @param parts the graphs that are loaded: all extensions have rewritten them */
  start(parts: readonly UNetPart[]): ActiveExtension;
}
