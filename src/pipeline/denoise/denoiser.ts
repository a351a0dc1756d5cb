import { floats, type NdArray } from "../../core/array.ts";
import type { Device } from "../../runtime/device.ts";
import type { Feeds } from "../../runtime/runtime.ts";
import type { TextEmbeds } from "../../sessions/text/text-stage.ts";
import { guide, rescale } from "./guidance.ts";

/** What stays the same over all steps. */
export interface Conditioning {
  readonly images: number;
  readonly channels: number;
  readonly height: number; // of the latents
  readonly width: number;
  readonly device: Device;
  /** One row of 6 for each row of the batch: see timeIds. */
  readonly timeIds: readonly (readonly number[])[];
  /** Above 1, the negative text is evaluated as well. */
  readonly guidanceScale: number;
  readonly guidanceRescale: number;
  /** One for each picture. */
  readonly negatives: readonly TextEmbeds[];
}

/** What answers an evaluation: a session, or one that saves work. */
export interface UNet {
  run(feeds: Feeds): Promise<{ readonly noise: NdArray }>;
}

/**
 * Latent pixels of the rows that are evaluated at once. On the processor two of 384x384: in 8 bits two rows of 256x256 together take 0.8 of the time of
 * one after the other, two of 512x512 take 1.1 (docs/performance.md). On a graphics card two of 1024x1024: more would only cost memory.
 */
const PIXELS_AT_ONCE: Readonly<Record<Device, number>> = { cpu: 2 * 48 ** 2, webgpu: 2 * 128 ** 2, cuda: 2 * 128 ** 2 };

/** @param pixels of the latents of one row */
export const rowsAtOnce = (pixels: number, device: Device): number => Math.max(1, Math.floor(PIXELS_AT_ONCE[device] / pixels));

/** Whether the negative text plays a part: diffusers guides only above 1. */
export const isGuided = (guidanceScale: number): boolean => guidanceScale > 1;

/** How many evaluations are made with guidance; the others leave the negative text out. */
export const guidedEvaluations = (
  { guidanceScale, guidanceEnd }: { readonly guidanceScale: number; readonly guidanceEnd: number },
  total: number,
): number => (isGuided(guidanceScale) ? Math.round(guidanceEnd * total) : 0);

/**
 * One evaluation with guidance: what the model says to latents at a timestep.
 * @param sample [images, channels, height, width], scaled as the model expects
 * @param texts one for each picture
 * @returns the same shape
 */
export async function evaluate(
  unet: UNet,
  sample: Float32Array,
  timestep: number,
  texts: readonly TextEmbeds[],
  conditioning: Conditioning,
): Promise<Float32Array> {
  const { images, guidanceScale, guidanceRescale } = conditioning;
  if (!isGuided(guidanceScale)) return run(unet, sample, timestep, texts, conditioning);
  const both = new Float32Array(sample.length * 2);
  both.set(sample);
  both.set(sample, sample.length);
  const out = await run(unet, both, timestep, [...conditioning.negatives, ...texts], conditioning);
  const [negative, positive] = [out.subarray(0, sample.length), out.subarray(sample.length)];
  const guided = guide(negative, positive, guidanceScale);
  return guidanceRescale > 0 ? rescale(guided, positive, images, guidanceRescale) : guided;
}

async function run(
  unet: UNet,
  sample: Float32Array,
  timestep: number,
  texts: readonly TextEmbeds[],
  { channels, height, width, device, timeIds }: Conditioning,
): Promise<Float32Array> {
  const size = channels * height * width;
  const atOnce = rowsAtOnce(height * width, device);
  const out = new Float32Array(sample.length);
  for (let from = 0; from < texts.length; from += atOnce) {
    const rows = texts.slice(from, from + atOnce);
    const n = rows.length;
    const { noise } = await unet.run({
      latents: floats(sample.slice(from * size, (from + n) * size), n, channels, height, width),
      timestep: floats(Float32Array.of(timestep), 1),
      context: stack(rows.map((r) => r.context)),
      pooled: stack(rows.map((r) => r.pooled)),
      timeIds: floats(Float32Array.from(timeIds.slice(from, from + n).flat()), n, 6),
    });
    out.set(noise.data as Float32Array, from * size);
  }
  return out;
}

function stack(rows: readonly { readonly dims: readonly number[]; readonly data: Float32Array }[]) {
  const [first] = rows;
  const out = new Float32Array(rows.length * first!.data.length);
  for (const [i, row] of rows.entries()) out.set(row.data, i * row.data.length);
  return floats(out, rows.length, ...first!.dims);
}
