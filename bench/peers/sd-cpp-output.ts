export interface SdCppTimes {
  /** Seconds of each step. */
  readonly steps: readonly number[];
  /** Seconds of decoding one picture. */
  readonly decode: number | undefined;
}

/**
 * Reads the output of stable-diffusion.cpp: its bar ends in `2/3 - 12.50s/it`, or `it/s` if a step is shorter than a second, with
 * the time of that step alone. Bars of other things, such as loading, have another total than the steps.
 * @param steps number of sampling steps
 */
export function sdCppTimes(output: string, steps: number): SdCppTimes {
  const bar = [...output.matchAll(/\| (\d+)\/(\d+) - ([\d.]+)(s\/it|it\/s)/g)].filter(([, , of]) => Number(of) === steps);
  const found = new Map(bar.map(([, step, , value, unit]) => [step!, unit === "s/it" ? Number(value) : 1 / Number(value)]));
  const decode = /(?:latent \d+ decoded|decode_first_stage completed), taking ([\d.]+)s/.exec(output)?.[1];
  return { steps: [...found.values()], decode: decode === undefined ? undefined : Number(decode) };
}
