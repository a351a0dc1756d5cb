import { gigabytes } from "../core/gigabytes.ts";
import type { Machine } from "./machine.ts";
import type { MeasuredPrecision, MeasuredSize } from "./measure.ts";
import { type Spread, summaryOf } from "./summary.ts";

/** Measurements as a table. */
export function benchTable(machine: Machine, runs: readonly MeasuredPrecision[]): string {
  return [machineText(machine), ...runs.map(runText), growthText(runs)].filter((part) => part !== "").join("\n");
}

export function machineText({ processor, instructions, cores, memory, system, node, onnxRuntime }: Machine): string {
  const known = instructions.length === 0 ? "" : ` (${instructions.join(" ")})`;
  const count = `${cores} core${cores === 1 ? "" : "s"}`;
  return `${processor}${known}, ${count}, ${gigabytes(memory)}; ${system}; Node ${node}; ONNX Runtime ${onnxRuntime}\n`;
}

const HEAD = ["size", "batch", "text", "ID", "evaluation", "", "decode", "first", "again", "TFLOP", "GFLOP/s", "memory"];

function runText({ device, precision, prepare, load, measured }: MeasuredPrecision): string {
  const rows = measured.map((each) => {
    const { text, id, evaluation, decode, first, again, work, speed } = summaryOf(each);
    return [
      sizeText(each),
      `${each.batch}`,
      seconds(text),
      id === 0 ? "-" : seconds(id),
      seconds(evaluation.median),
      rangeText(evaluation),
      seconds(decode),
      seconds(first),
      again === undefined ? "-" : seconds(again),
      tera(work),
      speed.toFixed(speed < 10 ? 1 : 0),
      gigabytes(each.memory),
    ];
  });
  return [
    `${device}, ${precision}: seconds`,
    ...(Object.keys(prepare).length === 0 ? [] : [`  preparing, once only: ${partsText(prepare)}`]),
    `  loading: ${partsText(load)}`,
    ...align([HEAD, ...rows]).map((line) => `  ${line}`),
    "",
  ].join("\n");
}

function partsText(parts: Readonly<Record<string, number>>): string {
  const all = Object.values(parts);
  const each = Object.entries(parts).map(([name, value]) => `${name} ${seconds(value)}`);
  return `${seconds(all.reduce((sum, value) => sum + value, 0))} (${each.join(", ")})`;
}

/** Table of an evaluation's work and seconds by size and batch, each also as a multiple of the smallest. */
export function growthText(runs: readonly MeasuredPrecision[]): string {
  const all = runs.flatMap(({ measured }) => measured);
  const cases = new Map(all.toReversed().map((each) => [caseOf(each), each])); // the first precision's work
  if (cases.size < 2) return "";
  const sorted = [...cases.values()].toSorted((a, b) => a.work.total - b.work.total);
  const names = runs.map(({ device, precision }) => `${device} ${precision}`);
  const evaluations = runs.map(
    ({ measured }) => new Map(measured.map((each) => [caseOf(each), summaryOf(each).evaluation.median])),
  );
  const rows = sorted.map((each) => {
    const cells = evaluations.flatMap((medians) => {
      const [value, least] = [medians.get(caseOf(each)), sorted.map((one) => medians.get(caseOf(one))).find(Boolean)];
      return value === undefined ? ["-", ""] : [seconds(value), times(value / least!)];
    });
    return [sizeText(each), `${each.batch}`, tera(each.work.total), times(each.work.total / sorted[0]!.work.total), ...cells];
  });
  const head = ["size", "batch", "TFLOP", "", ...names.flatMap((name) => [name, ""])];
  return [
    "Growth of an evaluation: seconds, and multiples of the smallest",
    ...align([head, ...rows]).map((line) => `  ${line}`),
    "",
  ].join("\n");
}

const caseOf = (each: MeasuredSize): string => `${sizeText(each)} ${each.batch}`;
const sizeText = ({ width, height }: MeasuredSize): string => `${width}x${height}`;
const rangeText = ({ min, max }: Spread): string => `(${seconds(min)}-${seconds(max)})`;
const times = (ratio: number): string => `x${ratio.toFixed(ratio < 10 ? 2 : 1)}`;
const tera = (work: number): string => (work / 1e12).toPrecision(3);

/** Formats seconds to three digits, down to milliseconds. */
const seconds = (value: number): string => value.toFixed(value < 1 ? 3 : value < 100 ? 2 : 0);

/** Aligns the first column left and the others right. */
export function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
}
