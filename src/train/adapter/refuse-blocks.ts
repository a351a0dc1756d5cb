import { UserError } from "../../core/errors.ts";
import { storedAs, type Tensors } from "../../weights/tensor-entry.ts";

/**
 * Refuses weights in GGUF's blocks: training reads weights where they lie, and these would have to be computed first.
 * @throws UserError weights/number-format
 */
export function refuseBlocks(tensors: Tensors, path: string): void {
  const found = [...tensors.values()].find(({ source }) => source.kind === "computed");
  if (found !== undefined)
    throw new UserError(
      "weights/number-format",
      `${path} holds weights in blocks (${storedAs(found).format}, "${found.name}"), from which training does not start.`,
      "Give the model in float32, float16 or bfloat16 for training; the trained adapter can be used with this file.",
    );
}
