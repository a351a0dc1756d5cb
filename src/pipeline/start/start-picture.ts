import type { GenerateRequest } from "../../contract/request.ts";
import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import { cutOut } from "../../image/cut-out.ts";
import { type Rgb8, readPhoto, resize } from "../../image/index.ts";
import { outpainted } from "../../image/outpaint.ts";
import { pasteOver } from "../../image/paste-over.ts";
import { type Area, fitInto, fittedPicture } from "./fit.ts";
import { drawnSize, regionOf } from "./masked-area.ts";
import { boxOf, fittedMask, grownMask, latentMaskOf, maskOf, opacityOf, type StartMask, withBlur } from "./start-mask.ts";

/** A picture that is drawn over, read and cut to the size in which it is drawn. */
export interface StartPicture {
  /** Width and height that the request asks for, with its defaults. */
  readonly asked: Area;
  readonly picture: Rgb8;
  /** Absent where all may change. */
  readonly mask: StartMask | undefined;
  /** Puts what was drawn into the picture that was given; absent where what was drawn is the result. */
  readonly paste?: (drawn: Rgb8) => Rgb8;
  readonly notices: readonly Notice[];
}

/** What a model draws by itself. */
export interface Own {
  /** Pixels for each latent, along a side. */
  readonly factor: number;
  /** Width and height of the model's own pictures, in pixels. */
  readonly side: number;
}

/** A picture of more pixels is scaled to the model's own number of them, unless a size is given. */
const LARGEST = 2048 ** 2;
const PADDING = 32;

/**
 * Reads the picture that a request starts from, and its mask.
 * @throws UserError image/too-small, mask/size, mask/empty, and those of readPhoto
 */
export async function openStart(request: GenerateRequest, own: Own): Promise<StartPicture | undefined> {
  if (request.image === undefined) return undefined;
  const given = await readPhoto(request.image, nameOf(request.image, "The start picture"));
  if (Math.min(given.width, given.height) < own.factor)
    throw new UserError(
      "image/too-small",
      `The picture to start from has ${given.width}x${given.height} pixels; it takes ${own.factor}x${own.factor} at the least.`,
      "Give a larger picture.",
    );
  const start = await startFrom(request, own, given);
  if (start.mask !== undefined && !latentMaskOf(start.mask, own.factor).shares.some((share) => share > 0))
    throw new UserError(
      "mask/empty",
      `What the mask leaves to be drawn is smaller than a latent (${own.factor}x${own.factor} pixels), so nothing would be drawn.`,
      "Paint a larger part white, or draw it larger with --inpaint-area masked (inpaintArea).",
    );
  return start;
}

async function startFrom(request: GenerateRequest, own: Own, given: Rgb8): Promise<StartPicture> {
  const read =
    request.maskImage === undefined
      ? undefined
      : maskOf(await readPhoto(request.maskImage, nameOf(request.maskImage, "The mask")), given);
  const blurred = read && withBlur(read.mask, request.maskBlur ?? 0);
  const { outpaint } = request;
  const canvas = outpaint === undefined ? given : outpainted(given, outpaint);
  const mask = outpaint === undefined ? blurred : grownMask(given, outpaint, blurred);
  const notices = read?.notices ?? [];
  if (mask !== undefined && request.inpaintArea === "masked") return maskedArea(request, own, { canvas, mask, notices });

  const { asked, scaled } = wholeSize(request, canvas, own);
  const fit = fitInto(canvas, asked, own.factor);
  const picture = fittedPicture(canvas, fit);
  const fitting = mask && fittedMask(mask, fit);
  const pastes = fitting !== undefined && (request.pasteBack ?? outpaint !== undefined);
  const opacity = pastes ? opacityOf(fitting) : undefined;
  const cut: Notice = {
    code: "image/cropped",
    message: `The start picture is ${canvas.width}x${canvas.height}; its ${canvas.width / canvas.height > asked.width / asked.height ? "sides are" : "top and bottom are"} cut off for ${asked.width}x${asked.height}.`,
  };
  return {
    asked,
    picture,
    mask: fitting,
    ...(opacity && { paste: (drawn: Rgb8) => pasteOver(picture, drawn, 0, 0, opacity) }),
    notices: [...notices, ...scaled, ...(fit.cuts ? [cut] : []), ...(request.strength === 1 && mask === undefined ? [ALL] : [])],
  };
}

const ALL: Notice = {
  code: "strength/all",
  message:
    "With a strength of 1 every step is taken, and hardly anything of the start picture is left: 0.3 to 0.7 keep more of it.",
};

const nameOf = (photo: string | Uint8Array, name: string) => (typeof photo === "string" ? {} : { name });

/** The size that is asked for; otherwise the picture's own, down to whole latents, as in diffusers. */
function wholeSize(
  { width, height }: GenerateRequest,
  picture: Area,
  { factor, side }: Own,
): { readonly asked: Area; readonly scaled: readonly Notice[] } {
  const whole = (length: number): number => Math.max(factor, Math.floor(length / factor) * factor);
  const ratio = picture.width / picture.height;
  if (width !== undefined && height !== undefined) return { asked: { width, height }, scaled: [] };
  if (width !== undefined) return { asked: { width, height: whole(Math.round(width / ratio)) }, scaled: [] };
  if (height !== undefined) return { asked: { width: whole(Math.round(height * ratio)), height }, scaled: [] };
  if (picture.width * picture.height <= LARGEST)
    return { asked: { width: whole(picture.width), height: whole(picture.height) }, scaled: [] };
  const asked = { width: whole(Math.round(side * Math.sqrt(ratio))), height: whole(Math.round(side / Math.sqrt(ratio))) };
  const message = `The start picture is ${picture.width}x${picture.height} and is scaled to ${asked.width}x${asked.height}; --width and --height (width, height) say otherwise.`;
  return { asked, scaled: [{ code: "image/scaled", message }] };
}

/** The surroundings of the mask alone, drawn as large as is asked for, and put back. */
function maskedArea(
  request: GenerateRequest,
  { factor, side }: Own,
  { canvas, mask, notices }: { readonly canvas: Rgb8; readonly mask: StartMask; readonly notices: readonly Notice[] },
): StartPicture {
  const asked = { width: request.width ?? side, height: request.height ?? side };
  const region = regionOf(boxOf(mask), canvas, request.maskPadding ?? PADDING, asked);
  const { left, top } = region;
  const size = drawnSize(region, asked, factor);
  const fit = { ...size, crop: { ...size, left: 0, top: 0 }, cuts: false };
  const opacity = opacityOf(mask);
  return {
    asked,
    picture: fittedPicture(cutOut(canvas, left, top, region.width, region.height), fit),
    mask: fittedMask(cutMask(mask, region), fit),
    paste: (drawn) => {
      const small =
        drawn.width === region.width && drawn.height === region.height
          ? drawn
          : resize(drawn, region.width, region.height, "lanczos");
      return pasteOver(canvas, small, left, top, opacity);
    },
    notices,
  };
}

function cutMask(mask: StartMask, { left, top, width, height }: ReturnType<typeof regionOf>): StartMask {
  const shares = Float32Array.from(
    { length: width * height },
    (_, i) => mask.shares[(top + Math.floor(i / width)) * mask.width + left + (i % width)]!,
  );
  return { ...mask, width, height, shares };
}
