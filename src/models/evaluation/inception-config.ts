import { UserError } from "../../core/errors.ts";
import type { Tensors } from "../../weights/tensor-entry.ts";

export interface InceptionConfig {
  /** Output channels and sides of the kernel of a convolution, by its path. */
  kernelOf(path: string): { readonly out: number; readonly kernel: readonly [number, number] };
}

/**
 * Sizes of FID's Inception, from its tensors.
 * @param tensors names as in pytorch-fid's pt_inception-2015-12-05-6726825d.pth
 * @throws UserError network/wrong-kind when a convolution is missing
 */
export function inceptionConfig(tensors: Tensors): InceptionConfig {
  return {
    kernelOf(path) {
      const shape = tensors.get(`${path}.conv.weight`)?.shape;
      if (shape?.length !== 4)
        throw new UserError(
          "network/wrong-kind",
          `These are not the weights of FID's Inception: there is no kernel "${path}.conv.weight".`,
          "Give pytorch-fid's file, pt_inception-2015-12-05-*.pth. torchvision's Inception is another network.",
        );
      return { out: shape[0]!, kernel: [shape[2]!, shape[3]!] };
    },
  };
}
