import type { Timings } from "../../contract/events.ts";

/**
 * Describes how long each part of a request took, and its peak memory, in one sentence.
 * @param peakMemory bytes
 */
export function timingText({ load, encode, evaluations, decode, total }: Timings, peakMemory: number): string {
  const models = Object.entries(load);
  const sum = models.reduce((all, [, each]) => all + each, 0);
  const parts = [
    ...(models.length > 0
      ? [`loading ${seconds(sum)} (${models.map(([name, each]) => `${name} ${seconds(each)}`).join(", ")})`]
      : []),
    `encoding ${seconds(encode)}`,
    evaluationText(evaluations),
    `decoding ${seconds(decode)}`,
  ];
  return `It took ${seconds(total)}: ${parts.join(", ")}. Peak memory: ${(peakMemory / 1e9).toFixed(1)} GB.`;
}

function evaluationText(all: readonly number[]): string {
  const sorted = all.toSorted((a, b) => a - b);
  const [least, most] = [sorted[0]!, sorted.at(-1)!];
  if (all.length === 1) return `1 evaluation of ${seconds(least)}`;
  const median = sorted[Math.floor(sorted.length / 2)]!;
  return `${all.length} evaluations of ${seconds(median)} each (${seconds(least)} to ${seconds(most)})`;
}

const seconds = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} s`;
