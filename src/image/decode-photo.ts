import sharp, { type FailOnOptions, type Metadata } from "sharp";
import { messageOf, UserError } from "../core/errors.ts";
import { cmykToRgb } from "./cmyk.ts";
import { photoFormat } from "./photo-format.ts";
import { readPhotoFile } from "./read-photo-file.ts";
import { type Rgb8, rgb8 } from "./rgb8.ts";

export interface DecodeOptions {
  /** Rotate the photo by its EXIF orientation (default), as diffusers' `load_image` does; CLIPImageProcessor alone does not. */
  readonly orient?: boolean;
  /** A photo with more is refused before it is decoded; 100 million by default. */
  readonly maxPixels?: number;
  /** Photos that are shorter or narrower, in pixels, are refused; 1 by default. */
  readonly minSide?: number;
  /** A larger file is refused before it is read; 1 GiB by default. */
  readonly maxBytes?: number;
  /** Name of the bytes in errors. A file is named by its path. */
  readonly name?: string;
}

/**
 * Decodes a photo as the reference does, which is Pillow's `convert("RGB")`: stored colours without regard to ICC profiles,
 * alpha dropped and not blended, the first of several pictures. Two differences: 16-bit grey is scaled to 8 bits
 * where Pillow cuts it off at 255, and the invisible colour of transparent GIF pixels is black.
 *
 * @param input path or bytes of a file: JPEG, PNG, WebP, GIF, TIFF or AVIF
 * @throws UserError photo/missing, photo/is-folder, photo/denied, photo/empty, photo/unreadable (not a picture, or of an
 *   unknown kind), photo/truncated (cut off or damaged), photo/enormous, photo/too-small
 */
export async function decodePhoto(input: string | Uint8Array | Blob, options: DecodeOptions = {}): Promise<Rgb8> {
  const { orient = true, maxPixels = 100e6, minSide = 1, maxBytes = 2 ** 30 } = options;
  const name = typeof input === "string" ? input : (options.name ?? "The photo");
  const bytes = typeof input === "string" ? await readPhotoFile(input, maxBytes) : await bytesOf(input);
  if (bytes.length === 0) throw new UserError("photo/empty", `${name} is empty: it has 0 bytes.`, "Copy or download it again.");
  const format = photoFormat(bytes);
  if (format === undefined)
    throw new UserError(
      "photo/unreadable",
      `${name} is not a picture in a format that can be read.`,
      "Save it as JPEG or PNG. WebP, GIF, TIFF and AVIF are read too.",
    );
  let metadata: Metadata | undefined;
  try {
    metadata = await sharp(bytes, { limitInputPixels: false }).metadata();
    const { width, height } = metadata;
    if (width * height > maxPixels)
      throw new UserError(
        "photo/enormous",
        `${name} has ${width}x${height} pixels; at most ${maxPixels} in all are allowed.`,
        "Save it smaller: a few hundred pixels across the face are enough.",
      );
    if (Math.min(width, height) < minSide)
      throw new UserError(
        "photo/too-small",
        `${name} has ${width}x${height} pixels, which hold no face: it takes ${minSide}x${minSide} at the least.`,
        "Give a photo on which the face is a few hundred pixels wide.",
      );
    return await decode(bytes, metadata, orient);
  } catch (error) {
    if (error instanceof UserError) throw error;
    const why = messageOf(error);
    if (metadata?.compression === "hevc" && why.includes("compression format"))
      throw new UserError("photo/unreadable", `${name} is a HEIC photo, which cannot be read here.`, "Save it as JPEG.", {
        cause: error,
      });
    const reason = why.replace("Input buffer has corrupt header:", "").trim().split("\n")[0];
    throw new UserError(
      "photo/truncated",
      `${name} is incomplete or damaged (${format}: ${reason}).`,
      "Copy or download it again, or open it in another program and save it as JPEG or PNG.",
      { cause: error },
    );
  }
}

const bytesOf = async (input: Uint8Array | Blob): Promise<Uint8Array> =>
  input instanceof Uint8Array ? input : new Uint8Array(await input.arrayBuffer());

async function decode(bytes: Uint8Array, { space, depth }: Metadata, orient: boolean): Promise<Rgb8> {
  const inks = space === "cmyk" && depth === "uchar"; // sharp would convert these by an ICC profile
  const pixels = async (failOn: FailOnOptions) => {
    const picture = sharp(bytes, { failOn, limitInputPixels: false, ignoreIcc: true });
    const upright = orient ? picture.autoOrient() : picture;
    const plain = inks ? upright.pipelineColourspace("cmyk").toColourspace("cmyk") : upright.toColourspace("srgb");
    return plain.removeAlpha().raw().toBuffer({ resolveWithObject: true });
  };
  const { data, info } = await pixels("warning").catch((error: unknown) => {
    if (!HARMLESS.test(messageOf(error))) throw error;
    return pixels("error");
  });
  return rgb8(info.width, info.height, inks ? cmykToRgb(data) : new Uint8Array(data.buffer, data.byteOffset, data.length));
}

/** Warnings of the JPEG decoder about cameras' sloppy files: no pixel is lost. */
const HARMLESS = /extraneous bytes before marker|Invalid SOS parameters/;
