import type { SamplingOptions } from "../../src/miniature/benchmark.ts";

/** One way to generate the miniature's pictures. */
export interface Configuration {
  readonly precision: "f32" | "int8";
  readonly sampling: SamplingOptions & { readonly numInferenceSteps: number };
}

/** The configuration that others are compared with. */
export const REFERENCE: Configuration = { precision: "f32", sampling: { numInferenceSteps: 25 } };

const STEPS = [25, 12, 8, 4];

/** Options, besides fewer steps, that save evaluations or parts of them. T-GATE and DeepCache exclude each other. */
const shortcuts = (steps: number): Omit<SamplingOptions, "numInferenceSteps">[] => [
  { deepCache: 2 },
  ...(steps >= 12 ? [{ deepCache: 3 }] : []),
  { tGate: Math.floor(steps / 2) },
  { guidanceEnd: 0.5 },
  { deepCache: 2, guidanceEnd: 0.5 },
];

const of = (
  precision: Configuration["precision"],
  steps: number,
  more: Omit<SamplingOptions, "numInferenceSteps"> = {},
): Configuration => ({
  precision,
  sampling: { numInferenceSteps: steps, ...more },
});

/** The reference first, then the most informative, so that a run stopped early is useful. */
export const CONFIGURATIONS: readonly Configuration[] = [
  ...STEPS.map((steps) => of("f32", steps)),
  ...STEPS.map((steps) => of("int8", steps)),
  ...STEPS.flatMap((steps) => shortcuts(steps).map((more) => of("f32", steps, more))),
  of("f32", 25, { deepCache: 5 }),
  of("f32", 25, { tGate: 18 }),
  ...[2, 3].map((tokenDownsampling) => of("f32", 25, { tokenDownsampling })),
  of("f32", 50),
  ...[3, 5].map((deepCache) => of("int8", 50, { deepCache, guidanceEnd: 0.5 })),
  of("int8", 50, { deepCache: 5, tokenDownsampling: 2, guidanceEnd: 0.5 }),
  ...STEPS.map((steps) => of("int8", steps, { deepCache: 2, guidanceEnd: 0.5 })),
];

/** Flags of a configuration, without steps and precision. */
export function shortcutText({ deepCache, tGate, tokenDownsampling, guidanceEnd }: SamplingOptions): string {
  const flags = [
    deepCache === undefined ? [] : [`--deep-cache ${deepCache}`],
    tGate === undefined ? [] : [`--t-gate ${tGate}`],
    tokenDownsampling === undefined ? [] : [`--token-downsampling ${tokenDownsampling}`],
    guidanceEnd === undefined ? [] : [`--guidance-end ${guidanceEnd}`],
  ];
  return flags.flat().join(" ");
}

/** Name of a configuration: its flags of `photomaker generate`. */
export const nameOf = ({ precision, sampling }: Configuration): string =>
  [`--steps ${sampling.numInferenceSteps}`, shortcutText(sampling), `--precision ${precision}`]
    .filter((part) => part !== "")
    .join(" ");
