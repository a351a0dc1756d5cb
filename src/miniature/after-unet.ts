import { floats, type NdArray } from "../core/array.ts";
import { gaussians } from "../core/random/gaussians.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { input } from "../graph/ops/source.ts";
import { withRuntime } from "../sessions/runtimes.node.ts";
import { type Tensors, withoutPrefix } from "../weights/index.ts";
import { ALPHAS, captionIds, LATENT_SIZE, latentDims, latentRows, miniUNet, textFeeds, timeIdsOf } from "./base-task.ts";
import { keptOrMade, nameOfEncoded } from "./encode-data.ts";
import { personOf, type SharpSet } from "./sharp-data.ts";
import { miniTokenizer, textEncoders } from "./text.ts";

/** How latents pass through the denoiser. */
export interface Denoising {
  /** Name of the kept result, letters only. */
  readonly name: string;
  /** Pictures, from the first. */
  readonly count: number;
  /** First timestep: at least, and below. */
  readonly from: readonly [number, number];
  /** Steps of DDIM: Song et al. 2020 (arXiv 2010.02502), equation 12. */
  readonly steps: number;
  readonly guidance: number;
  /** Share of fresh noise at each step: 0 is DDIM, 1 ancestral sampling. */
  readonly eta: number;
}

/** Most pictures in one evaluation. */
const MOST = 32;

/**
 * Latents of pictures noised to a timestep and denoised again with their captions: what a decoder gets to see instead of the encoder's. From the last
 * timestep, which is pure noise, they are generated pictures' latents. Kept in the folder.
 * @param latents in the denoiser's scale, [pictures, LATENT_SIZE]
 * @returns [count, LATENT_SIZE]
 */
export async function denoisedLatents(
  folder: string,
  data: SharpSet,
  latents: Float32Array,
  base: Tensors,
  how: Denoising,
): Promise<Float32Array> {
  const { name, count } = how;
  const atOnce = Math.min(MOST, count);
  return keptOrMade(folder, await nameOfEncoded(name, data, base), count * LATENT_SIZE, (out) =>
    withRuntime({}, async (runtime) => {
      const part = (prefix: string) => new Checkpoint(withoutPrefix(base, `${prefix}.`), prefix);
      const text = textEncoders(atOnce, [part("text_encoder"), part("text_encoder_2")]);
      const noisy = input("noisy", latentDims(atOnce));
      const v = miniUNet(noisy, input("timestep", [atOnce]), { ...text, keep: input("keep", [atOnce, 1]) }, part("unet"));
      const session = await runtime.load({ v });
      for (let from = 0; from < count; from += atOnce) {
        const texts = textsOf(data, from, atOnce);
        const predict = async (x: Float32Array, t: readonly number[], keep: number): Promise<Float32Array> =>
          (
            await session.run({
              ...texts,
              noisy: floats(x, ...latentDims(atOnce)),
              timestep: floats(Float32Array.from(t), atOnce),
              keep: floats(new Float32Array(atOnce).fill(keep), atOnce, 1),
              timeIds: timeIdsOf(atOnce),
            })
          ).v.data as Float32Array;
        const rows = Array.from({ length: atOnce }, (_, i) => (from + i) % data.scenes.length);
        const result = await denoise(latentRows(latents, rows), how, from, predict);
        out.set(result.subarray(0, Math.min(atOnce, count - from) * LATENT_SIZE), from * LATENT_SIZE);
      }
    }),
  );
}

/** Feeds of the captions of pictures from number `from` on. */
function textsOf(data: SharpSet, from: number, atOnce: number): Record<string, NdArray> {
  const tokenizer = miniTokenizer();
  const random = seededRandom(data.seed, from, 0);
  const texts = Array.from({ length: atOnce }, (_, i) => {
    const index = (from + i) % data.scenes.length;
    return captionIds(tokenizer, personOf(data, index), data.scenes[index]!, random);
  });
  return textFeeds(texts, tokenizer.end, random);
}

/** @returns the picture without noise that the last step predicts */
async function denoise(
  clean: Float32Array,
  { from: [low, high], steps, guidance, eta }: Denoising,
  key: number,
  predict: (x: Float32Array, t: readonly number[], keep: number) => Promise<Float32Array>,
): Promise<Float32Array> {
  const random = seededRandom(low, high, steps, key);
  const firsts = Array.from({ length: clean.length / LATENT_SIZE }, () => low + random.integer(high - low));
  const times = (i: number): number[] => firsts.map((t) => Math.floor((t * (steps - i)) / steps));
  const noise = gaussians(random, clean.length);
  const rowOf = (i: number): number => Math.floor(i / LATENT_SIZE);
  let t = times(0);
  let x = clean.map((z, i) => Math.sqrt(ALPHAS[t[rowOf(i)]!]!) * z + Math.sqrt(1 - ALPHAS[t[rowOf(i)]!]!) * noise[i]!);
  for (let step = 0; step < steps; step++) {
    let v = await predict(x, t, 1);
    if (guidance !== 1) {
      const told = v;
      v = (await predict(x, t, 0)).map((u, i) => u + guidance * (told[i]! - u));
    }
    const next = times(step + 1);
    const fresh = eta > 0 ? gaussians(random, x.length) : undefined;
    const last = step === steps - 1;
    x = x.map((value, i) => {
      const [now, then] = [ALPHAS[t[rowOf(i)]!]!, ALPHAS[next[rowOf(i)]!]!];
      const [signal, sigma] = [Math.sqrt(now), Math.sqrt(1 - now)];
      const picture = signal * value - sigma * v[i]!;
      if (last) return picture;
      const error = signal * v[i]! + sigma * value;
      const deviation = eta * Math.sqrt(((1 - then) / (1 - now)) * (1 - now / then));
      return (
        Math.sqrt(then) * picture + Math.sqrt(Math.max(0, 1 - then - deviation ** 2)) * error + deviation * (fresh?.[i] ?? 0)
      );
    });
    t = next;
  }
  return x;
}
