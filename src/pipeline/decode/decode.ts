import type { GenerateRequest } from "../../contract/request.ts";
import { floats } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import { type Rgb8, toPicture } from "../../image/index.ts";
import type { DecoderGraph } from "../../sessions/graphs.ts";
import type { LazySession, LoadObserver } from "../../sessions/lazy-session.ts";
import { type Plane, tiled, tilesOf } from "./tiles.ts";

/** What makes pictures of latents. */
export interface Decoder {
  readonly graph: DecoderGraph;
  readonly session: LazySession<"picture">;
  /** Pixels of a picture that is decoded in one piece. */
  readonly largestWhole: number;
}

export interface Decoders {
  readonly vae: Decoder;
  readonly tinyVae: Decoder | undefined;
}

/** Pictures of more pixels are decoded in tiles: whole, one of 1024x1024 takes 4.9 GB in 8 bits. */
export const LARGEST_WHOLE = { f32: 1280 * 1280, int8: 1024 * 1024 } as const;
/** Latents in a tile, and how far tiles overlap: as far as diffusers' do. */
const TILES = { area: 128 * 128, overlap: 16 };

/** Pixels that are decoded in one piece. @param width, height of the picture */
export function pixelsAtOnce(largestWhole: number, factor: number, width: number, height: number): number {
  if (width * height <= largestWhole) return width * height;
  const { rows, columns } = tilesOf({ width: width / factor, height: height / factor }, TILES);
  return rows.size * columns.size * factor ** 2;
}

/**
 * What makes the request's pictures of their latents.
 * @throws UserError decoder/no-tiny-vae
 */
export function decoderOf({ vae, tinyVae }: Decoders, { decoder }: Pick<GenerateRequest, "decoder">): Decoder {
  if (decoder === "vae") return vae;
  if (tinyVae !== undefined) return tinyVae;
  throw new UserError(
    "decoder/no-tiny-vae",
    "The pictures are to be decoded with the tiny VAE, and none was loaded.",
    "Give it: --tiny-vae madebyollin/taesdxl (tinyVae in code).",
  );
}

/**
 * One picture from its latents.
 * @param latents [C, h, w] as the denoiser leaves them
 * @throws UserError output/nan
 */
export async function decodeLatents(
  { graph, session, largestWhole }: Decoder,
  latents: Plane,
  observer: LoadObserver,
): Promise<Rgb8> {
  const { config, factor } = graph;
  const loaded = await session.get(observer);
  const scaled = { ...latents, data: latents.data.map((v) => v / config.scalingFactor + config.shiftFactor) };
  const decode = async ({ channels, height, width, data }: Plane): Promise<Plane> => {
    const { picture } = await loaded.run({ latents: floats(data, 1, channels, height, width) });
    return { channels: config.imageChannels, height: height * factor, width: width * factor, data: picture.data as Float32Array };
  };
  const large = latents.height * latents.width * factor * factor > largestWhole;
  const { data, width, height } = large ? await tiled(scaled, decode, TILES) : await decode(scaled);
  return toPicture(data, width, height);
}
