import { UserError } from "../core/errors.ts";
import { rename } from "./rename.ts";
import { layoutFromDiffusers, unetPaths } from "./unet-names.ts";

const numbered = (name: string, from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `${name}${String(from + i).padStart(2, "0")}`);

/** Blocks of a list of weights, by how many there are: those with attention, or all of SDXL's. BASE is the rest, such as text encoders. */
const BLOCKS: Readonly<Record<number, readonly string[]>> = {
  12: ["BASE", "IN04", "IN05", "IN07", "IN08", "M00", ...numbered("OUT", 0, 5)],
  20: ["BASE", ...numbered("IN", 0, 8), "M00", ...numbered("OUT", 0, 8)],
};

/**
 * How much of a LoRA each block of the model takes: a list of 12 or 20 numbers, as sd-webui-lora-block-weight has them for SDXL. Blocks that the
 * list does not name take nothing.
 * @param unet names of its tensors
 * @returns the factor of a layer, by component and path
 * @throws UserError lora/blocks
 */
export function blockWeights(weights: readonly number[], unet: Iterable<string>): (component: string, path: string) => number {
  const blocks = BLOCKS[weights.length];
  if (blocks === undefined)
    throw new UserError(
      "lora/blocks",
      `The LoRA has ${weights.length} block weights, and SDXL's are 12 or 20.`,
      `Give 12 (${BLOCKS[12]!.join(", ")}), or 20 with all of IN00 to IN08 and OUT00 to OUT08.`,
    );
  const byBlock = new Map(blocks.map((block, i) => [block, weights[i]!]));
  const original = new Map(unetPaths(layoutFromDiffusers(unet)).map(([from, to]) => [to, from]));
  return (component, path) => {
    const name = component === "unet" ? (rename(path, original) ?? path) : "";
    const [, side, index] = /^(input|middle|output)_blocks?\.(\d+)\./.exec(name) ?? [];
    const block =
      side === undefined
        ? "BASE"
        : side === "middle"
          ? "M00"
          : `${side === "input" ? "IN" : "OUT"}${String(index).padStart(2, "0")}`;
    return byBlock.get(block) ?? 0;
  };
}
