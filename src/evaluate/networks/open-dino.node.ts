import type { FloatArray } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import { Checkpoint } from "../../graph/checkpoint.ts";
import { namedDim } from "../../graph/dim.ts";
import { input } from "../../graph/ops/source.ts";
import { Weights } from "../../graph/weights.ts";
import { imagenetPreprocess } from "../../image/imagenet-preprocess.ts";
import { vit } from "../../models/evaluation/vit.ts";
import { vitConfig } from "../../models/evaluation/vit-config.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { vitTensors } from "../../weights/vit-names.ts";
import { inBatches } from "./batches.ts";
import type { ImageNetwork } from "./image-network.ts";
import { openNetworkWeights } from "./network-weights.node.ts";

const BATCH = 8;
/** Side of the pictures that DINO and DINOv2 are evaluated with, in pixels; DINOv2's positions were trained for 518. */
const SIDE = 224;

/**
 * Opens a vision transformer of DINO or DINOv2: a folder of the hub, or the authors' file.
 * @throws UserError network/*, model/config, weights/*, and those of openTensors
 */
export async function openDino(path: string, runtime: Runtime): Promise<ImageNetwork> {
  const { tensors: stored, config } = await openNetworkWeights(path, ["vit", "dinov2", "dinov2_with_registers"]);
  const tensors = vitTensors(stored);
  if (tensors === undefined)
    throw new UserError(
      "network/wrong-kind",
      `${path} holds no vision transformer of DINO's family: it has no class token.`,
      "Give DINO's ViT-S/16 or another ViT of DINO or DINOv2: a folder of the hub, or the authors' .pth.",
    );
  const sizes = vitConfig(config, tensors);
  const side = Math.min(SIDE - (SIDE % sizes.patch), sizes.grid * sizes.patch);
  const pixels = input("pixels", [namedDim("batch"), 3, side, side]);
  const session = await runtime.load({ features: vit(pixels, new Weights(new Checkpoint(tensors, "DINO")), sizes) });
  return {
    features: (pictures) =>
      inBatches(pictures, [3, side, side], {
        batch: BATCH,
        pixelsOf: (picture) => imagenetPreprocess(picture, side),
        run: async (given) => (await session.run({ pixels: given })).features as FloatArray,
      }),
    close: () => session.close(),
  };
}
