import sharp from "sharp";
import { type PngSettings, withPngSettings } from "./png-settings.ts";
import type { Rgb8 } from "./rgb8.ts";

/** A PNG file of the picture, with how it was made. The same picture and settings give the same bytes. */
export async function encodePng({ width, height, data }: Rgb8, settings: PngSettings = {}): Promise<Uint8Array> {
  const png = await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  return withPngSettings(png, settings);
}

/** A PNG file of one channel, such as a mask; `data` is [height, width]. */
export const encodeGreyPng = (data: Uint8Array, width: number, height: number): Promise<Uint8Array> =>
  sharp(data, { raw: { width, height, channels: 1 } })
    .toColourspace("b-w")
    .png()
    .toBuffer();
