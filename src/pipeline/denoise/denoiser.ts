import { floats } from "../../core/array.ts";
import type { Device } from "../../runtime/device.ts";
import type { Feeds } from "../../runtime/runtime.ts";
import type { Query } from "../../samplers/sampler.ts";
import type { LoadedUNet } from "../../sessions/unet-form.ts";
import type { ActiveExtension, Run } from "./extension.ts";
import type { Guidance, Told } from "./guidance.ts";

/** What stays the same over all evaluations. */
export interface DenoiserOptions {
  readonly unet: LoadedUNet;
  readonly guidance: Guidance;
  /** In the order in which they have rewritten the graph. */
  readonly extensions: readonly ActiveExtension[];
  /** [pictures, channels, height, width] of the latents */
  readonly dims: readonly [number, number, number, number];
  readonly device: Device;
  /** Channels that the UNet takes behind the latents, as they are at every evaluation: [pictures, channels, height, width]. */
  readonly beside?: Float32Array | undefined;
}

/**
 * Latent pixels of the rows that are evaluated at once. On the processor two of 384x384: in 8 bits two rows of 256x256 together take 0.8 of the time of
 * one after the other, two of 512x512 take 1.1 (photomaker bench --batch 1,2). On a graphics card two of 1024x1024: more would only cost memory.
 */
const PIXELS_AT_ONCE: Readonly<Record<Device, number>> = { cpu: 2 * 48 ** 2, webgpu: 2 * 128 ** 2, cuda: 2 * 128 ** 2 };

/** @param pixels of the latents of one row */
export const rowsAtOnce = (pixels: number, device: Device): number => Math.max(1, Math.floor(PIXELS_AT_ONCE[device] / pixels));

/**
 * One evaluation: what the model says to the sampler's latents, with guidance.
 * @returns [pictures, channels, height, width]
 */
export async function evaluate(
  { unet, guidance, extensions, dims, device, beside }: DenoiserOptions,
  { sample, timestep, index }: Pick<Query, "sample" | "timestep" | "index">,
): Promise<Float32Array> {
  const at = { index, timestep };
  const guided = extensions.reduce((before, extension) => extension.guide?.(before, at) ?? before, guidance);
  const rows = guided.rows(at);
  for (const extension of extensions) extension.begin?.(rows, at);
  const [, channels, height, width] = dims;
  const size = channels * height * width;
  const atOnce = rowsAtOnce(height * width, device);
  const answers = new Float32Array(rows.length * size);
  for (let from = 0, next = 0; from < rows.length; from = next) {
    next = Math.min(rows.length, from + atOnce, endOfLength(rows, from));
    const run: Run = { at, rows: rows.slice(from, next), from };
    let feeds = feedsOf(sample, timestep, run.rows, dims, beside);
    for (const extension of extensions) feeds = { ...feeds, ...(await extension.feeds?.(feeds, run)) };
    const answer = await unet.run(feeds, ["noise", ...extensions.flatMap((extension) => extension.wants?.(run) ?? [])]);
    for (const extension of extensions) extension.took?.(answer, run);
    answers.set(answer.noise!.data as Float32Array, from * size);
  }
  return guided.combine(answers, at);
}

/** The first row after `from` whose text has another number of tokens: such rows are no one batch. */
function endOfLength(rows: readonly Told[], from: number): number {
  const [tokens] = rows[from]!.context.dims;
  const other = rows.findIndex(({ context }, i) => i > from && context.dims[0] !== tokens);
  return other < 0 ? rows.length : other;
}

function feedsOf(
  sample: Float32Array,
  timestep: number,
  rows: readonly Told[],
  dims: DenoiserOptions["dims"],
  beside: Float32Array = new Float32Array(),
): Feeds {
  const [pictures, channels, height, width] = dims;
  const size = channels * height * width;
  const more = beside.length / pictures;
  const latents = new Float32Array(rows.length * (size + more));
  for (const [i, { picture }] of rows.entries()) {
    latents.set(sample.subarray(picture * size, (picture + 1) * size), i * (size + more));
    latents.set(beside.subarray(picture * more, (picture + 1) * more), i * (size + more) + size);
  }
  return {
    latents: floats(latents, rows.length, channels + more / (height * width), height, width),
    timestep: floats(Float32Array.of(timestep), 1),
    context: stack(rows.map((r) => r.context)),
    pooled: stack(rows.map((r) => r.pooled)),
    timeIds: floats(Float32Array.from(rows.flatMap((r) => r.timeIds)), rows.length, 6),
  };
}

function stack(rows: readonly { readonly dims: readonly number[]; readonly data: Float32Array }[]) {
  const [first] = rows;
  const out = new Float32Array(rows.length * first!.data.length);
  for (const [i, row] of rows.entries()) out.set(row.data, i * row.data.length);
  return floats(out, rows.length, ...first!.dims);
}
