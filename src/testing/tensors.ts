import { readFileSync } from "node:fs";
import { type FloatArray, floats } from "../core/array.ts";
import { openTensors } from "../weights/open-tensors.node.ts";
import { readFloats, readValues } from "../weights/read-tensor.ts";
import { goldenPath } from "./golden.ts";

export interface GoldenTensors {
  floats(name: string): Promise<FloatArray>;
  integers(name: string): Promise<number[]>;
  has(name: string): boolean;
  names(): string[];
}

/** The tensors of a golden safetensors file. */
export async function goldenTensors(...parts: string[]): Promise<GoldenTensors> {
  const { tensors } = await openTensors(goldenPath(...parts));
  const entry = (name: string) => {
    const found = tensors.get(name);
    if (found === undefined) throw new Error(`${parts.join("/")} has no tensor "${name}"`);
    return found;
  };
  return {
    floats: async (name) => floats(await readFloats(entry(name)), ...entry(name).shape),
    integers: async (name) => Array.from((await readValues(entry(name))).values, Number),
    has: (name) => tensors.has(name),
    names: () => [...tensors.keys()],
  };
}

// biome-ignore lint/suspicious/noExplicitAny: tests read fields of files whose form they know
export const goldenJson = (...parts: string[]): any => JSON.parse(readFileSync(goldenPath(...parts), "utf8"));
