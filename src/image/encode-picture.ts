import sharp from "sharp";
import { decodePhoto } from "./decode-photo.ts";
import { exifOf } from "./exif/exif-settings.ts";
import { jpegWithExif, webpWithExif } from "./exif/with-exif.ts";
import { DEFAULT_QUALITY, type PictureFormat } from "./picture-format.ts";
import { readPngSettings } from "./png-settings.ts";

/** How a picture is written. */
export interface PictureEncoding {
  readonly format: PictureFormat;
  /** 1 to 100, of JPEG and of WebP with loss; 90 when absent. */
  readonly quality?: number | undefined;
  /** Whether a WebP keeps every pixel as it is. */
  readonly lossless?: boolean | undefined;
}

/**
 * A picture of a request in another format, with the same settings in it: in EXIF, A1111's text as UserComment and photomaker's JSON as MakerNote.
 * The same picture and encoding give the same bytes. As PNG it is returned as it is.
 *
 * @param png as an image event has it
 * @throws UserError picture/long-settings for a JPEG, and those of decodePhoto and readSettings for what is no such PNG
 */
export async function encodePicture(
  png: Uint8Array,
  { format, quality, lossless = false }: PictureEncoding,
): Promise<Uint8Array> {
  if (format === "png") return png;
  const said = readPngSettings(png);
  const { width, height, data } = await decodePhoto(png, { name: "The picture", maxPixels: Number.POSITIVE_INFINITY });
  const picture = sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false });
  const options = { quality: quality ?? DEFAULT_QUALITY };
  if (format === "jpeg")
    return jpegWithExif(await picture.jpeg({ ...options, chromaSubsampling: "4:4:4" }).toBuffer(), exifOf(said));
  const webp = await picture.webp(lossless ? { lossless } : { ...options, smartSubsample: true }).toBuffer();
  return webpWithExif(webp, { width, height }, exifOf(said));
}
