import type { FloatArray } from "../../core/array.ts";
import { Checkpoint } from "../../graph/checkpoint.ts";
import { namedDim } from "../../graph/dim.ts";
import { input } from "../../graph/ops/source.ts";
import { Weights } from "../../graph/weights.ts";
import { resizeFloats } from "../../image/resize-floats.ts";
import { INCEPTION_SIDE, inception } from "../../models/evaluation/inception.ts";
import { inceptionConfig } from "../../models/evaluation/inception-config.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { inBatches } from "./batches.ts";
import type { ImageNetwork } from "./image-network.ts";
import { openNetworkWeights } from "./network-weights.node.ts";

const BATCH = 8;

/**
 * Opens FID's Inception from pytorch-fid's file. Pictures are resized as clean-fid does: Parmar et al. 2022 (arXiv 2104.11222).
 * @throws UserError network/*, weights/*, and those of openTensors
 */
export async function openInception(path: string, runtime: Runtime): Promise<ImageNetwork> {
  const { tensors } = await openNetworkWeights(path, []);
  const side = INCEPTION_SIDE;
  const x = input("pixels", [namedDim("batch"), 3, side, side]);
  const features = inception(x, new Weights(new Checkpoint(tensors, "Inception")), inceptionConfig(tensors));
  const session = await runtime.load({ features });
  return {
    features: (pictures) =>
      inBatches(pictures, [3, side, side], {
        batch: BATCH,
        pixelsOf: (picture) => resizeFloats(picture, side, side, "bicubic").map((value) => (value - 128) / 128),
        run: async (pixels) => (await session.run({ pixels })).features as FloatArray,
      }),
    close: () => session.close(),
  };
}
