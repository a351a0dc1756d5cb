import { type FloatArray, integers } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import { Checkpoint } from "../../graph/checkpoint.ts";
import { namedDim } from "../../graph/dim.ts";
import { input } from "../../graph/ops/source.ts";
import { Weights } from "../../graph/weights.ts";
import { clipPreprocess } from "../../image/clip-preprocess.ts";
import { clipImageFeatures, clipTextFeatures } from "../../models/evaluation/clip.ts";
import { clipConfig } from "../../models/evaluation/clip-config.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { readTokenizerFolder, sdxlTokenizer } from "../../text/tokenizer-folder.node.ts";
import { encodePlain } from "../../text/window.ts";
import { clipTensors } from "../../weights/clip-names.ts";
import { readFloats } from "../../weights/read-tensor.ts";
import { inBatches } from "./batches.ts";
import type { ImageNetwork } from "./image-network.ts";
import { openNetworkWeights } from "./network-weights.node.ts";

/** CLIP: features of pictures and of texts in one space. */
export interface Clip extends ImageNetwork {
  /** Features of texts, and notices about those that are cut to the window of 77 tokens. */
  texts(prompts: readonly string[]): Promise<{ readonly features: Float32Array[]; readonly notices: readonly Notice[] }>;
  /** Factor by which CLIP multiplies cosines before its softmax: about 100. */
  readonly logitScale: number;
}

const BATCH = 8;

/**
 * Opens a CLIP of any size: a folder of the hub, or a file with its config.json beside it, by the names of transformers or of OpenCLIP. A tokenizer in the
 * folder is used; otherwise CLIP's own.
 * @throws UserError network/*, model/config, weights/*, tokenizer/*, and those of openTensors
 */
export async function openClip(path: string, runtime: Runtime): Promise<Clip> {
  const { tensors: stored, config, folder } = await openNetworkWeights(path, ["clip"]);
  const tensors = clipTensors(stored);
  const sizes = clipConfig(config, tensors);
  const weights = (): Weights => new Weights(new Checkpoint(tensors, "CLIP"));
  const side = sizes.vision.image;
  const pictures = await runtime.load({
    features: clipImageFeatures(input("pixels", [namedDim("batch"), 3, side, side]), weights(), sizes),
  });
  const ids = input("ids", [namedDim("batch"), sizes.text.positions], "i64");
  const texts = await runtime.load({
    features: clipTextFeatures(ids, input("pooledAt", [namedDim("batch")], "i64"), weights(), sizes),
  });
  const tokenizer = await tokenizerOf(folder);
  const scale = tensors.get("logit_scale");
  return {
    logitScale: scale === undefined ? 1 : Math.exp((await readFloats(scale))[0]!),
    features: (all) =>
      inBatches(all, [3, side, side], {
        batch: BATCH,
        pixelsOf: (picture) => clipPreprocess(picture, side),
        run: async (pixels) => (await pictures.run({ pixels })).features as FloatArray,
      }),
    async texts(prompts) {
      const window = { length: sizes.text.positions, pad: tokenizer.end };
      const features: Float32Array[] = [];
      const notices: Notice[] = [];
      for (const prompt of prompts) {
        const encoded = encodePlain(tokenizer, prompt, window, `prompt "${prompt.slice(0, 40)}"`);
        notices.push(...encoded.notices);
        const end = encoded.ids.indexOf(tokenizer.end);
        const feeds = { ids: integers(encoded.ids, 1, window.length), pooledAt: integers([end], 1) };
        features.push((await texts.run(feeds)).features.data as Float32Array);
      }
      return { features, notices };
    },
    async close() {
      await Promise.all([pictures.close(), texts.close()]);
    },
  };
}

async function tokenizerOf(folder: string) {
  try {
    return (await readTokenizerFolder(folder)).tokenizer;
  } catch (error) {
    if (error instanceof UserError && error.code === "tokenizer/incomplete") return sdxlTokenizer("tokenizer"); // CLIP's vocabulary is one and the same
    throw error;
  }
}
