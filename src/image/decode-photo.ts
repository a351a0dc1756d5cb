import sharp, { type FailOnOptions, type Metadata } from "sharp";
import { messageOf, UserError } from "../core/errors.ts";
import { bmpHeader, checkBmpLength, decodeBmp } from "./bmp.ts";
import { cmykToRgb } from "./cmyk.ts";
import { foreignFormat, type PhotoFormat, photoFormat } from "./photo-format.ts";
import { readPhotoFile } from "./read-photo-file.ts";
import { type Rgb8, rgb8 } from "./rgb8.ts";
import { labTiff, labToRgb } from "./tiff-lab.ts";

export interface DecodeOptions {
  /** Rotate the photo by its EXIF orientation (default), as diffusers' `load_image` does; CLIPImageProcessor alone does not. */
  readonly orient?: boolean;
  /**
   * A photo with more is refused before it is decoded; 100 million by default. A JPEG may have four times as many: above this it is decoded at a
   * quarter of its width and height.
   */
  readonly maxPixels?: number;
  /** Photos that are shorter or narrower, in pixels, are refused; 1 by default. */
  readonly minSide?: number;
  /** A larger file is refused before it is read; 1 GiB by default. */
  readonly maxBytes?: number;
  /** Name of the bytes in errors. A file is named by its path. */
  readonly name?: string;
  /** Decoder of HEIC photos, which are refused without one. It sees to the orientation, whatever `orient` says. */
  readonly heic?: (bytes: Uint8Array, name: string) => Promise<Rgb8>;
}

/**
 * Decodes a photo as the reference does, which is Pillow's `convert("RGB")`: stored colours without regard to ICC profiles,
 * alpha dropped and not blended, the first of several pictures. Two differences: 16-bit grey is scaled to 8 bits
 * where Pillow cuts it off at 255, and the invisible colour of transparent GIF pixels is black.
 *
 * @param input path or bytes of a file: JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP
 * @throws UserError photo/missing, photo/is-folder, photo/denied, photo/empty, photo/unreadable (not a picture, or of an
 *   unknown kind), photo/truncated (cut off or damaged), photo/enormous, photo/too-small
 */
export async function decodePhoto(input: string | Uint8Array | Blob, options: DecodeOptions = {}): Promise<Rgb8> {
  const { orient = true, maxPixels = 100e6, minSide = 1, maxBytes = 2 ** 30 } = options;
  const name = typeof input === "string" ? input : (options.name ?? "The photo");
  const file = typeof input === "string" ? await readPhotoFile(input, maxBytes) : await bytesOf(input);
  if (file.length === 0) throw new UserError("photo/empty", `${name} is empty: it has 0 bytes.`, "Copy or download it again.");
  const format = photoFormat(file);
  if (format === undefined) {
    const kind = foreignFormat(file);
    throw new UserError(
      "photo/unreadable",
      kind === undefined
        ? `${name} is not a picture in a format that can be read.`
        : `${name} is ${kind}, which cannot be read here.`,
      "Save it as JPEG or PNG. WebP, GIF, TIFF, AVIF and BMP are read too.",
    );
  }
  if (format === "BMP") {
    const header = bmpHeader(file, name);
    checkBmpLength(file, header, name);
    checkSize(header, { most: maxPixels, minSide, name });
    return decodeBmp(file, header, name);
  }
  const lab = format === "TIFF" ? labTiff(file) : undefined;
  const bytes = lab?.bytes ?? file;
  let metadata: Metadata | undefined;
  try {
    metadata = await sharp(bytes, { limitInputPixels: false }).metadata();
    const { width, height } = metadata;
    const isHeic = metadata.compression === "hevc";
    const most = format === "JPEG" ? maxPixels * LARGE_JPEG : isHeic ? Math.min(maxPixels, MOST_HEIC) : maxPixels;
    checkSize(metadata, { most, minSide, name });
    if (metadata.depth !== "uchar" && metadata.depth !== "ushort")
      throw new UserError(
        "photo/unreadable",
        `${name} has pixels of type ${metadata.depth}, as pictures for measuring or of high dynamic range (HDR) have; how bright they are meant to be is not said.`,
        "Save it with 8 or 16 bits a colour, as JPEG or PNG.",
      );
    if (isHeic && options.heic !== undefined) return await options.heic(file, name);
    const picture = await decode(bytes, { metadata, format, orient, shrink: width * height > maxPixels ? SHRINK : 1 });
    return lab === undefined ? picture : { ...picture, data: labToRgb(picture.data, lab.signed) };
  } catch (error) {
    if (error instanceof UserError) throw error;
    const why = messageOf(error);
    if (metadata?.compression === "hevc" && why.includes("compression format"))
      throw new UserError("photo/unreadable", `${name} is a HEIC photo, which cannot be read here.`, "Save it as JPEG.", {
        cause: error,
      });
    const reason = why
      .replace(/^Warning treated as error due to failOn setting\n/, "")
      .replace("Input buffer has corrupt header:", "")
      .trim()
      .split("\n")[0];
    throw new UserError(
      "photo/truncated",
      `${name} is incomplete or damaged (${format}: ${reason}).`,
      "Copy or download it again, or open it in another program and save it as JPEG or PNG.",
      { cause: error },
    );
  }
}

/** @throws UserError photo/enormous, photo/too-small */
function checkSize(
  { width, height }: { readonly width: number; readonly height: number },
  { most, minSide, name }: { readonly most: number; readonly minSide: number; readonly name: string },
): void {
  if (width * height > most)
    throw new UserError(
      "photo/enormous",
      `${name} has ${width}x${height} pixels; at most ${most} in all are allowed.`,
      "Save it smaller: a few hundred pixels across the face are enough.",
    );
  if (Math.min(width, height) < minSide)
    throw new UserError(
      "photo/too-small",
      `${name} has ${width}x${height} pixels, which hold no face: it takes ${minSide}x${minSide} at the least.`,
      "Give a photo on which the face is a few hundred pixels wide.",
    );
}

const bytesOf = async (input: Uint8Array | Blob): Promise<Uint8Array> =>
  input instanceof Uint8Array ? input : new Uint8Array(await input.arrayBuffer());

interface Decoding {
  readonly metadata: Metadata;
  readonly format: PhotoFormat;
  readonly orient: boolean;
  /** One of so many pixels along a side is kept; JPEG's decoder leaves the others out of account. */
  readonly shrink: number;
}

/** Most pixels of a HEIC photo: its decoder takes 13 bytes for each, which makes 0.8 GB. */
const MOST_HEIC = 60e6;

/** How many times more pixels a JPEG may have than other photos, and what is then left of each side. */
const LARGE_JPEG = 4;
const SHRINK = 4;

async function decode(bytes: Uint8Array, { metadata, format, orient, shrink }: Decoding): Promise<Rgb8> {
  const { space, depth, width, height } = metadata;
  const inks = space === "cmyk" && depth === "uchar"; // sharp would convert these by an ICC profile
  const pixels = async (failOn: FailOnOptions) => {
    const picture = sharp(bytes, { failOn, limitInputPixels: false, ignoreIcc: true });
    const turned = orient ? picture.autoOrient() : picture;
    const sides = orient ? metadata.autoOrient : { width, height };
    const [wide, high] = [sides.width, sides.height].map((side) => Math.ceil(side / shrink)) as [number, number];
    const upright = shrink === 1 ? turned : turned.resize(wide, high, { fit: "fill" });
    const plain = inks ? upright.pipelineColourspace("cmyk").toColourspace("cmyk") : upright.toColourspace("srgb");
    return plain.removeAlpha().raw().toBuffer({ resolveWithObject: true });
  };
  const { data, info } = await pixels("warning").catch((error: unknown) => {
    const said = messageOf(error);
    if (!HARMLESS.test(said) && (format !== "TIFF" || LOST_PIXELS.test(said))) throw error;
    return pixels("error");
  });
  return rgb8(info.width, info.height, inks ? cmykToRgb(data) : new Uint8Array(data.buffer, data.byteOffset, data.length));
}

/** Warnings about a TIFF's pixels. All others are about its tags; strips that lie beyond the end of the file are errors. */
const LOST_PIXELS = /premature end|not enough data|line length|bad code|read error|corrupt/i;

/** Warnings of the JPEG decoder about cameras' sloppy files: no pixel is lost. */
const HARMLESS = /extraneous bytes before marker|Invalid SOS parameters/;
