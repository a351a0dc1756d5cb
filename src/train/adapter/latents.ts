import { createHash } from "node:crypto";
import { floats } from "../../core/array.ts";
import { makeFolder } from "../../core/make-folder.node.ts";
import { clipCrop, decodePhoto, fromPicture } from "../../image/index.ts";
import { withRuntime } from "../../sessions/runtimes.node.ts";
import { openVaeEncoder, vaeEncoderGraph } from "../../sessions/vae-encoder.ts";
import { type ModelComponent, readBytes } from "../../weights/index.ts";
import type { TrainingPhoto } from "../photos/training-photos.ts";
import { keptLatents } from "./kept-latents.ts";

export interface PhotoLatents {
  readonly channels: number;
  /** Side of the latents. */
  readonly side: number;
  /** Encodes the pictures that have no latents yet. */
  readonly encode: (photos: readonly TrainingPhoto[]) => Promise<void>;
  /** Mean of the VAE's distribution, scaled for the denoiser: [channels, side, side]. */
  readonly of: (photo: TrainingPhoto) => Promise<Float32Array>;
}

export interface LatentOptions {
  readonly folder: string;
  /** Side of the square crop of each picture, pixels. */
  readonly resolution: number;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPhoto?: ((done: number, total: number) => void) | undefined;
  readonly onEncoded?: ((phase: EncodePhase) => void) | undefined;
}

export interface EncodePhase {
  readonly phase: "encode";
  readonly pictures: number;
  readonly seconds: number;
  /** Peak memory of the encoding process, which has ended by then, bytes. */
  readonly peakMemory: number;
}

/**
 * Encodes each picture once, and keeps the latents in a file that is named for the picture's bytes, the VAE and the size, so that a
 * later run encodes only new pictures.
 */
export async function openLatents(
  vae: ModelComponent,
  { folder, resolution, threads, signal, onPhoto, onEncoded }: LatentOptions,
): Promise<PhotoLatents> {
  const graph = vaeEncoderGraph(vae, [1, 3, resolution, resolution]);
  const side = resolution / graph.factor;
  const key = await vaeKey(vae);
  const kept = keptLatents(folder);
  const nameOf = ({ hash }: TrainingPhoto): string => `${hash.slice(0, 24)}-${key}-${resolution}`;
  const encode = async (photos: readonly TrainingPhoto[]): Promise<void> => {
    await makeFolder(folder);
    const missing: TrainingPhoto[] = [];
    for (const photo of photos) if (!(await kept.has(nameOf(photo)))) missing.push(photo);
    if (missing.length === 0) return;
    const began = performance.now();
    await withRuntime({ threads, lean: true }, async (runtime) => {
      const encoded = await openVaeEncoder(runtime, graph, "latents");
      for (const [i, photo] of missing.entries()) {
        signal?.throwIfAborted();
        const square = clipCrop(await decodePhoto(photo.path), resolution);
        await kept.write(nameOf(photo), await encoded(floats(fromPicture(square), 1, 3, resolution, resolution)));
        onPhoto?.(i + 1, missing.length);
      }
      const seconds = (performance.now() - began) / 1000;
      onEncoded?.({ phase: "encode", pictures: missing.length, seconds, peakMemory: runtime.peakMemory() });
    });
  };
  return {
    encode,
    channels: graph.config.latentChannels,
    side,
    of: async (photo) => {
      const bytes = await kept.read(nameOf(photo));
      if (bytes === undefined) throw new Error(`${photo.path} is not encoded`);
      return new Float32Array(bytes.buffer);
    },
  };
}

/** Hash that tells one VAE from another: of some of its weights' bytes and its scale. */
async function vaeKey({ tensors, config, latents }: ModelComponent): Promise<string> {
  const own = latents ?? (config?.latents_mean == null ? undefined : [config.latents_mean, config.latents_std]);
  const scale = [config?.scaling_factor, config?.shift_factor, ...(own === undefined ? [] : [own])];
  const hash = createHash("sha256").update(JSON.stringify(scale));
  for (const name of ["encoder.conv_in.weight", "encoder.conv_out.weight", "encoder.mid_block.resnets.0.conv1.bias"]) {
    const entry = tensors.get(name);
    if (entry !== undefined) hash.update(await readBytes(entry));
  }
  return hash.digest("hex").slice(0, 12);
}
