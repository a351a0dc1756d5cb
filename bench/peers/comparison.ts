import { type Spread, spread } from "../../src/bench/summary.ts";
import { align } from "../../src/bench/table.ts";
import type { Request } from "./serve.ts";

/** Times of one engine for one request, round by round; undefined if it cannot do it. */
export interface Series {
  readonly engine: string;
  readonly seconds: readonly number[] | undefined;
  /** Bytes; undefined if it does not report them. */
  readonly peakMemory: number | undefined;
}

export interface Row {
  readonly engine: string;
  readonly seconds: Spread | undefined;
  /** Time relative to the first engine: the median of the rounds' ratios, and their range. */
  readonly ratio: Spread | undefined;
  readonly peakMemory: number | undefined;
}

/** Compares engines that ran in turn, round by round, so that other load on the machine matters little. */
export function compareEngines(series: readonly Series[]): Row[] {
  const base = series[0]?.seconds;
  return series.map(({ engine, seconds, peakMemory }) => {
    const ratios = base && seconds?.flatMap((value, round) => (round < base.length ? [value / base[round]!] : []));
    const known = seconds !== undefined && seconds.length > 0;
    return {
      engine,
      peakMemory,
      seconds: known ? spread(seconds) : undefined,
      ratio: ratios !== undefined && ratios.length > 0 ? spread(ratios) : undefined,
    };
  });
}

export function comparisonText({ part, width, height, batch }: Request, rows: readonly Row[]): string {
  const number = (value: number): string => value.toFixed(value < 1 ? 3 : 2);
  const range = (of: Spread | undefined): string[] =>
    of === undefined ? ["-", ""] : [number(of.median), `(${number(of.min)}-${number(of.max)})`];
  const cells = rows.map(({ engine, seconds, ratio, peakMemory }) => [
    ...[engine, ...range(seconds), ...range(ratio)],
    peakMemory === undefined ? "-" : `${(peakMemory / 1e9).toFixed(1)} GB`,
  ]);
  const lines = align([["engine", "seconds", "", "ratio", "", "memory"], ...cells]).map((line) => `  ${line}`);
  return [`${part === "unet" ? "UNet evaluation" : "VAE decode"}, ${width}x${height}, batch ${batch}`, ...lines, ""].join("\n");
}
