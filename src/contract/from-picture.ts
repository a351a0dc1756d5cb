import { UserError } from "../core/errors.ts";
import type { GenerateRequest } from "./generate-request.ts";
import type { NameOf } from "./request-error.ts";

type Start = Pick<
  GenerateRequest,
  "image" | "strength" | "maskImage" | "maskBlur" | "inpaintArea" | "maskPadding" | "outpaint" | "pasteBack"
>;

const OF_AN_IMAGE = ["strength", "maskImage", "outpaint", "maskBlur", "inpaintArea", "maskPadding", "pasteBack"] as const;
const OF_A_MASK = ["maskBlur", "inpaintArea", "maskPadding", "pasteBack"] as const;

/**
 * Refuses options of a picture to start from where there is none, and options of a mask without one.
 * @throws UserError image/needed, mask/needed, inpaint-area/needed, outpaint/nothing
 */
export function checkFromPicture(request: Start, nameOf: NameOf): void {
  const given = <K extends keyof Start>(keys: readonly K[]): K | undefined => keys.find((key) => request[key] !== undefined);
  const alone = request.image === undefined ? given(OF_AN_IMAGE) : undefined;
  if (alone !== undefined)
    throw new UserError(
      "image/needed",
      `${nameOf([alone])} is given, and no picture to start from.`,
      `Give the picture with ${nameOf(["image"])}, or leave ${nameOf([alone])} out.`,
    );
  const masked = request.maskImage !== undefined || request.outpaint !== undefined;
  const unmasked = masked ? undefined : given(OF_A_MASK);
  if (unmasked !== undefined)
    throw new UserError(
      "mask/needed",
      `${nameOf([unmasked])} is given, and no mask.`,
      `Give the mask with ${nameOf(["maskImage"])}, or leave ${nameOf([unmasked])} out.`,
    );
  if (request.maskPadding !== undefined && request.inpaintArea !== "masked")
    throw new UserError(
      "inpaint-area/needed",
      `${nameOf(["maskPadding"])} is given, and the whole picture is drawn.`,
      `Let the mask's surroundings alone be drawn (${nameOf(["inpaintArea"])} masked), or leave it out.`,
    );
  if (request.outpaint?.every((side) => side === 0))
    throw new UserError(
      "outpaint/nothing",
      `${nameOf(["outpaint"])} adds 0 pixels on every side.`,
      "Give the number of pixels for at least one side.",
    );
}
