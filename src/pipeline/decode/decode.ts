import type { GenerateRequest } from "../../contract/request.ts";
import { floats } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import { type Rgb8, toPicture } from "../../image/index.ts";
import type { DecoderGraph } from "../../sessions/graphs.ts";
import type { LazySession, LoadObserver } from "../../sessions/lazy-session.ts";
import { unscaled } from "./latent-scale.ts";
import { type Plane, tiled, tilesOf } from "./tiles.ts";

/** A loadable decoder of latents. */
export interface Decoder {
  readonly graph: DecoderGraph;
  readonly session: LazySession<"picture">;
  /** Largest number of pixels that is decoded in one piece. */
  readonly largestWhole: number;
}

export interface Decoders {
  readonly vae: Decoder;
  readonly tinyVae: Decoder | undefined;
}

/** Largest number of pixels that is decoded in one piece, by precision: 1024x1024 takes 4.9 GB in 8 bits. Larger pictures are decoded in tiles. */
export const LARGEST_WHOLE = { f32: 1280 * 1280, int8: 1024 * 1024 } as const;
/** Area and overlap of tiles, in latents; the overlap is that of diffusers. */
const TILES = { area: 128 * 128, overlap: 16 };

/** Number of pixels that are decoded in one piece: a tile's, or the whole picture's. @param width, height pixels of the picture */
export function pixelsAtOnce(largestWhole: number, factor: number, width: number, height: number): number {
  if (width * height <= largestWhole) return width * height;
  const { rows, columns } = tilesOf({ width: width / factor, height: height / factor }, TILES);
  return rows.size * columns.size * factor ** 2;
}

/**
 * Chooses the decoder of a request.
 * @throws UserError decoder/no-tiny-vae
 */
export function decoderOf({ vae, tinyVae }: Decoders, { decoder }: Pick<GenerateRequest, "decoder">): Decoder {
  if (decoder === "vae") return vae;
  if (tinyVae !== undefined) return tinyVae;
  throw new UserError(
    "decoder/no-tiny-vae",
    "The request asks for the tiny VAE as decoder, and none was loaded.",
    "Give it: --tiny-vae madebyollin/taesdxl (tinyVae in code).",
  );
}

/**
 * Decodes one picture.
 * @param latents [C, h, w] in the denoiser's scale
 * @throws UserError output/nan
 */
export async function decodeLatents(
  { graph, session, largestWhole }: Decoder,
  latents: Plane,
  observer: LoadObserver,
): Promise<Rgb8> {
  const { config, factor } = graph;
  const loaded = await session.get(observer);
  const scaled = { ...latents, data: unscaled(latents, config) };
  const decode = async ({ channels, height, width, data }: Plane): Promise<Plane> => {
    const { picture } = await loaded.run({ latents: floats(data, 1, channels, height, width) });
    return { channels: config.imageChannels, height: height * factor, width: width * factor, data: picture.data as Float32Array };
  };
  const large = latents.height * latents.width * factor * factor > largestWhole;
  const { data, width, height } = large ? await tiled(scaled, decode, TILES) : await decode(scaled);
  return toPicture(data, width, height);
}
