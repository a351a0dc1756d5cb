import { concat } from "../graph/ops/layout.ts";
import { input } from "../graph/ops/source.ts";
import type { Tensor } from "../graph/tensor.ts";
import { type WeightSource, Weights } from "../graph/weights.ts";
import { VOCABULARY } from "../minifaces/index.ts";
import { clipText } from "../models/clip-text.ts";
import { clipTextConfig } from "../models/clip-text-config.ts";
import { createTokenizer, type Tokenizer } from "../text/tokenizer.ts";
import { POSITIONS, textConfig } from "./configs.ts";
import { tokenizerFolder } from "./tokenizer-files.ts";

export const TOKENIZER_FOLDER = tokenizerFolder(VOCABULARY);

/** The miniature's tokenizer, shared by both encoders. */
export const miniTokenizer = (): Tokenizer => {
  const { files } = TOKENIZER_FOLDER;
  return createTokenizer({
    merges: files["merges.txt"]!,
    vocabulary: JSON.parse(files["vocab.json"]!),
    config: JSON.parse(files["tokenizer_config.json"]!),
  });
};

/**
 * Runs both text encoders as SDXL does: Podell et al. 2023 (arXiv 2307.01952), section 2.1.
 * Inputs of the graph: `ids` [B, POSITIONS] and `endAt` [B], i64.
 */
export function textEncoders(
  batch: number,
  sources: readonly [WeightSource, WeightSource],
): { readonly context: Tensor; readonly pooled: Tensor } {
  const inputs = { ids: input("ids", [batch, POSITIONS], "i64"), pooledAt: input("endAt", [batch], "i64") };
  const outputs = sources.map((source, i) => {
    const name = i === 0 ? "text_encoder" : "text_encoder_2";
    const config = clipTextConfig(textConfig(i as 0 | 1, TOKENIZER_FOLDER.ids), new Map(), name);
    const projection = i === 0 ? undefined : textConfig(1, TOKENIZER_FOLDER.ids).projection_dim;
    return clipText(inputs, new Weights(source), { ...config, projection });
  });
  const [first, second] = outputs as [(typeof outputs)[0], (typeof outputs)[0]];
  return { context: concat([first.hiddenStates.at(-2)!, second.hiddenStates.at(-2)!], -1), pooled: second.pooled! };
}
