import sharp from "sharp";
import { afterAll, describe, expect, test } from "vitest";
import { type FloatArray, floats } from "../core/array.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { namedDim } from "../graph/dim.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { goldenPath, hasGolden } from "../testing/golden.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { openAdapter } from "../weights/open-adapter.node.ts";
import { clipVision, pooledVision } from "./clip-vision.ts";
import { fuse } from "./fuse.ts";
import { idEncoderV1Config, idEncoderV2Config } from "./id-encoder-config.ts";
import { idEncoderV1 } from "./id-encoder-v1.ts";
import { idEncoderV2 } from "./id-encoder-v2.ts";

const runtime = ortRuntime();
afterAll(() => runtime.close());

const MEAN = [0.48145466, 0.4578275, 0.40821073];
const STD = [0.26862954, 0.26130258, 0.27577711];

/** The cropped photos of the fixtures, normalised: [N, 3, 224, 224]. */
async function pixels(photos: readonly string[]): Promise<FloatArray> {
  const side = 224;
  const out = new Float32Array(photos.length * 3 * side * side);
  for (const [n, photo] of photos.entries()) {
    const file = goldenPath("preprocess", photo.replace(/\.\w+$/, ".224.png"));
    const rgb = await sharp(file).removeAlpha().raw().toBuffer();
    for (let i = 0; i < side * side; i++)
      for (let c = 0; c < 3; c++) out[(n * 3 + c) * side * side + i] = (rgb[i * 3 + c]! / 255 - MEAN[c]!) / STD[c]!;
  }
  return floats(out, photos.length, 3, side, side);
}

interface Case {
  readonly file: string;
  readonly photos: string[];
}
const cases = (version: "v1" | "v2"): Case[] =>
  goldenJson("components", `id_encoder_${version}.json`).cases.filter(
    (c: Case) =>
      c.photos.every((p) => hasGolden("preprocess", p.replace(/\.\w+$/, ".224.png"))) && hasGolden("components", c.file),
  );

describe.each(["v1", "v2"] as const)(
  "the ID encoder %s and its fusion give the numbers of the official code",
  async (version) => {
    const { idEncoder } = await openAdapter(goldenPath(`tiny-photomaker-${version}.bin`));
    const config = goldenJson("photomaker-config.json");
    const weights = new Weights(new Checkpoint(idEncoder, "id encoder"));
    const n = namedDim("n");
    const sizes = version === "v1" ? idEncoderV1Config(idEncoder, config) : idEncoderV2Config(idEncoder, config);
    const pictures = input("pixels", [n, 3, sizes.vision.image, sizes.vision.image]);
    const vision = clipVision(pictures, weights.at("vision_model"), sizes.vision);
    const tokens =
      "projections" in sizes
        ? idEncoderV1(pictures, weights, sizes)
        : idEncoderV2(pictures, input("faces", [n, 512]), weights, sizes);
    const width = tokens.shape[2] as number;
    const rows = [namedDim("rows"), width];
    const fused = fuse(input("classEmbeds", rows), input("idTokens", rows), weights.at("fuse_module"));
    const encode = await runtime.load({ tokens, vision, pooled: pooledVision(vision, weights.at("vision_model"), sizes.vision) });
    const fuser = await runtime.load({ fused });

    test.each(cases(version))("$file", async ({ file, photos }) => {
      const golden = await goldenTensors("components", file);
      const faces = version === "v2" ? { faces: await golden.floats("id_embeds") } : {};
      const out = await encode.run({ pixels: await pixels(photos), ...faces });
      const expectClose = async (actual: unknown, name: string): Promise<void> => {
        expect(actual as Float32Array).toMatchGolden((await golden.floats(name)).data, 5e-5);
      };
      await expectClose(out.vision.data, "vision_last_hidden_state");
      await expectClose(out.pooled.data, "vision_pooled");
      await expectClose(out.tokens.data, version === "v1" ? "id_tokens" : "qformer_out");

      const prompt = (await golden.floats("prompt_embeds")).data.slice();
      const mask = await golden.integers("class_tokens_mask");
      const places = mask.flatMap((m, i) => (m === 0 ? [] : [i]));
      const classEmbeds = Float32Array.from(places.flatMap((p) => [...prompt.subarray(p * width, (p + 1) * width)]));
      const { fused: stacked } = await fuser.run({
        classEmbeds: floats(classEmbeds, places.length, width),
        idTokens: floats((out.tokens.data as Float32Array).slice(0, places.length * width), places.length, width),
      });
      for (const [i, p] of places.entries())
        prompt.set((stacked.data as Float32Array).subarray(i * width, (i + 1) * width), p * width);
      await expectClose(prompt, "updated_prompt_embeds");
    });

    test("an adapter of unusual size without its config is refused with a remedy", () => {
      const read = version === "v1" ? idEncoderV1Config : idEncoderV2Config;
      expect(() => read(idEncoder, undefined)).toThrow(expect.objectContaining({ code: "adapter/config-needed" }));
    });
  },
);
