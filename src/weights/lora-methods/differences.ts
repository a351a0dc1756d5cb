import { elementCount } from "../tensor-entry.ts";
import { type LoraMethod, rowsAndColumns, sameSizes } from "./method.ts";

/** Differences of whole weights, of biases and of norms. */
export const FULL: LoraMethod = {
  name: "full differences of weights",
  parts: ["diff"],
  missing: () => [],
  fits: ({ diff }, weight) =>
    diff !== undefined && (sameSizes(diff, weight) || sameSizes(rowsAndColumns(diff), rowsAndColumns(weight))),
  difference: ({ diff }) => diff!.values.slice(),
};

/** The bias that a LoRA adds behind `up`, which alpha / rank scales as it does the rest. */
export const BIAS: LoraMethod = {
  name: "LoRA with biases",
  parts: ["bias", "down"],
  missing: () => [],
  fits: ({ bias }, weight) => bias !== undefined && elementCount(bias) === elementCount(weight),
  rank: ({ down }) => down?.[0],
  difference: ({ bias }) => bias!.values.slice(),
};
