import { messageOf, UserError } from "../core/errors.ts";
import { textsOfExif } from "./exif/exif-settings.ts";
import { utf8 } from "./exif/user-comment.ts";
import { photoFormat } from "./photo-format.ts";
import { type PngSettings, readPngSettings, readPngTexts } from "./png-settings.ts";

/**
 * Reads from a picture how it was made, as photomaker or a program that writes A1111's text said it: in a PNG's texts, or in the EXIF of a JPEG, WebP,
 * AVIF or other picture. A field that the picture does not have is absent.
 * @param picture a whole file
 * @throws UserError picture/unreadable, png/unreadable, png/compressed-text
 */
export async function readPictureSettings(picture: Uint8Array): Promise<PngSettings> {
  if (photoFormat(picture) === "PNG") {
    const said = readPngSettings(picture);
    if (said.parameters !== undefined || said.settings !== undefined) return said;
  }
  const { parameters, photomaker } = await exifTexts(picture);
  return {
    ...(parameters !== undefined && { parameters }),
    ...(photomaker !== undefined && { settings: parseSettings(photomaker) }),
  };
}

/**
 * What other programs wrote into a picture, by keyword.
 * @throws UserError picture/unreadable, png/unreadable, png/compressed-text
 */
export async function readPictureTexts(picture: Uint8Array): Promise<Record<string, string>> {
  const { photomaker: _, ...texts } = await exifTexts(picture);
  return photoFormat(picture) === "PNG" ? { ...texts, ...readPngTexts(picture) } : texts;
}

async function exifTexts(picture: Uint8Array): Promise<Record<string, string>> {
  const { default: sharp } = await import("sharp"); // most commands need none of it
  const { exif } = await sharp(picture, { limitInputPixels: false, failOn: "none" })
    .metadata()
    .catch((error: unknown) => {
      throw unreadable(messageOf(error).split("\n")[0]!, error);
    });
  const comment = photoFormat(picture) === "JPEG" ? commentOf(picture) : undefined;
  return { ...(comment !== undefined && { parameters: comment }), ...(exif !== undefined && textsOfExif(exif)) };
}

/** The comment of a JPEG if it has settings, as stable-diffusion.cpp writes them. @see ITU-T T.81, annex B */
function commentOf(jpeg: Uint8Array): string | undefined {
  for (let at = 2; at + 4 <= jpeg.length && jpeg[at] === 0xff; ) {
    const [marker, length] = [jpeg[at + 1]!, jpeg[at + 2]! * 256 + jpeg[at + 3]!];
    if (marker === 0xda) return undefined; // pixels follow
    const text = marker === 0xfe ? utf8(jpeg.subarray(at + 4, at + 2 + length)).replace(/^parameters\0|\0+$/g, "") : "";
    if (/\bSteps: \d+/.test(text)) return text;
    at += 2 + length;
  }
  return undefined;
}

function parseSettings(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw unreadable("its settings are not JSON", error);
  }
}

const unreadable = (why: string, cause: unknown): UserError =>
  new UserError("picture/unreadable", `The picture cannot be read: ${why}.`, "Take the original file, or copy it again.", {
    cause,
  });
