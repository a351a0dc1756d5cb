import { floats } from "../core/array.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { namedDim } from "../graph/dim.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import { clipVision, pooledVision } from "../models/clip-vision.ts";
import { withRuntime } from "../sessions/runtimes.node.ts";
import { openVaeEncoder, vaeEncoderGraph } from "../sessions/vae-encoder.ts";
import { fingerprint } from "../weights/fingerprint.node.ts";
import type { Tensors } from "../weights/index.ts";
import { LATENT_SIZE } from "./base-task.ts";
import { SIDE, VAE_CONFIG, VISION_WIDTH } from "./configs.ts";
import { ALBUM, type Behind, type DataSet, idImage, pictureValues, worldKey } from "./data-set.ts";
import { encodedPictures } from "./kept-data.ts";
import { VISION, variedIdPixels } from "./vision-task.ts";

const AT_ONCE = 32;

/** Pictures [count, SIDE, SIDE, 3] of the people of a seed. */
export type PicturesToEncode = Pick<DataSet, "seed" | "people" | "scenes" | "pictures">;

/** Encodes all pictures to unscaled latent means, once per VAE; keeps them in the folder: [pictures, LATENT_SIZE]. */
export async function encodePictures(
  folder: string,
  data: PicturesToEncode,
  vae: Tensors,
  name = "latents",
): Promise<Float32Array> {
  return keptOrMade(folder, await nameOfEncoded(name, data, vae), data.scenes.length * LATENT_SIZE, async (out) => {
    const graph = vaeEncoderGraph({ config: VAE_CONFIG, tensors: vae }, [namedDim("batch"), 3, SIDE, SIDE]);
    await withRuntime({}, async (runtime) => {
      const means = await openVaeEncoder(runtime, graph, "mean");
      for (let from = 0; from < data.scenes.length; from += AT_ONCE) {
        const n = Math.min(AT_ONCE, data.scenes.length - from);
        const pictures = new Float32Array(n * 3 * SIDE * SIDE);
        for (let i = 0; i < n; i++) pictureValues(data, from + i, pictures, i * 3 * SIDE * SIDE);
        out.set(await means(floats(pictures, n, 3, SIDE, SIDE)), from * LATENT_SIZE);
      }
    });
  });
}

/** Background of each variant of an ID image; the first variant of each background is not shifted. */
export const FEATURE_VARIANTS: readonly Behind[] = ["noise", "scene", "noise", "scene", "plain"];

/** Encodes all ID images, each in several variants, to pooled features: [people · ALBUM · variants, VISION_WIDTH]. Kept as the latents are. */
export async function encodeIdFeatures(folder: string, data: DataSet, vision: Tensors): Promise<Float32Array> {
  const variants = FEATURE_VARIANTS.length;
  return keptOrMade(
    folder,
    await nameOfEncoded("features", data, vision),
    data.people * ALBUM * variants * VISION_WIDTH,
    async (out) => {
      const pixels = input("pixels", [namedDim("batch"), 3, SIDE, SIDE]);
      const at = new Weights(new Checkpoint(vision, "vision")).at("vision_model");
      const pooled = pooledVision(clipVision(pixels, at, VISION), at, VISION);
      await withRuntime({}, async (runtime) => {
        const session = await runtime.load({ pooled });
        const rows = ALBUM * variants;
        for (let person = 0; person < data.people; person++) {
          const values = new Float32Array(rows * 3 * SIDE * SIDE);
          for (let row = 0; row < rows; row++) {
            const [album, variant] = [Math.floor(row / variants), row % variants];
            const random = seededRandom(data.seed, person, row);
            const rgb = idImage(data, person, album, FEATURE_VARIANTS[variant]!, data.seed, variant);
            values.set(variedIdPixels(rgb, variant < 2 ? undefined : random), row * 3 * SIDE * SIDE);
          }
          const found = await session.run({ pixels: floats(values, rows, 3, SIDE, SIDE) });
          out.set(found.pooled.data as Float32Array, person * rows * VISION_WIDTH);
        }
      });
    },
  );
}

/** File name that depends on the weights and on how the world is drawn. */
export async function nameOfEncoded(
  what: string,
  { seed, people }: Pick<DataSet, "seed" | "people">,
  weights: Tensors,
): Promise<string> {
  const key = await fingerprint([...weights.values()], worldKey(seed));
  return `${what}-${seed}-${people}-${key.slice(0, 8)}`;
}

export async function keptOrMade(
  folder: string,
  name: string,
  length: number,
  make: (out: Float32Array) => Promise<void>,
): Promise<Float32Array> {
  const encoded = encodedPictures(folder);
  const bytes = await encoded.read(name);
  if (bytes?.length === length * 4) return new Float32Array(bytes.buffer);
  const out = new Float32Array(length);
  await make(out);
  await encoded.write(name, out);
  return out;
}

/** Standard deviation of values. */
export function deviation(values: Float32Array): number {
  let [sum, squares] = [0, 0];
  for (const v of values) {
    sum += v;
    squares += v * v;
  }
  const mean = sum / values.length;
  return Math.sqrt(squares / values.length - mean * mean);
}
