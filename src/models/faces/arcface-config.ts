import { UserError } from "../../core/errors.ts";
import type { Tensors } from "../../weights/tensor-entry.ts";

export interface ArcfaceConfig {
  /** Channels of the first convolution. */
  readonly stem: number;
  /** Channels of each stage. */
  readonly widths: readonly number[];
  /** Residual units of each stage: 3, 13, 30, 3 for IResNet-100. */
  readonly units: readonly number[];
  /** Numbers in the vector of a face. */
  readonly features: number;
}

/**
 * Sizes of an IResNet, from its tensors.
 * @throws UserError weights/missing if they are not those of an IResNet
 */
export function arcfaceConfig(tensors: Tensors): ArcfaceConfig {
  const rows = (name: string): number => {
    const found = tensors.get(name)?.shape[0];
    if (found === undefined)
      throw new UserError(
        "weights/missing",
        `The recogniser of faces has no weight "${name}".`,
        "Give the backbone that arcface_torch has written, such as an IResNet-50 or -100, whole.",
      );
    return found;
  };
  const widths: number[] = [];
  const units: number[] = [];
  for (let stage = 1; stage === 1 || tensors.has(`layer${stage}.0.conv1.weight`); stage++) {
    widths.push(rows(`layer${stage}.0.conv1.weight`));
    let count = 1;
    while (tensors.has(`layer${stage}.${count}.conv1.weight`)) count++;
    units.push(count);
  }
  return { stem: rows("conv1.weight"), widths, units, features: rows("fc.weight") };
}
