import { drawOver } from "../image/draw-over.ts";
import type { Rgb8 } from "../image/rgb8.ts";
import { shrink } from "../image/shrink.ts";
import { textSvg } from "../image/text-svg.ts";
import type { Square } from "./crop.ts";
import type { Box, FaceNetworks, FivePoints } from "./face.ts";
import { heightOf, sideOf, widthOf } from "./geometry.ts";
import { tintAround } from "./id-picture.ts";
import { maskOfPerson } from "./person-mask.ts";

/** Longer side of a drawn picture. */
const LONGEST = 1600; // pixels
const [CHOSEN, OTHER, CROP] = ["#2bd66f", "#ffd23f", "#ffffff"];

export interface FacesToDraw {
  /** Faces from left to right, in pixels of the picture. */
  readonly faces: readonly { readonly box: Box; readonly points: FivePoints }[];
  /** Index of the person's face. */
  readonly chosen?: number | undefined;
  /** Square that the ID encoder sees. */
  readonly crop?: Square | undefined;
}

/**
 * Draws what was found: each face with its number, its box and points, the chosen one in green; the square that the ID encoder sees, dashed; and a blue
 * tint over what is not the person.
 */
export async function drawFaces(
  picture: Rgb8,
  { faces, chosen, crop }: FacesToDraw,
  networks: Pick<FaceNetworks, "personMask">,
  signal?: AbortSignal,
): Promise<Rgb8> {
  const small = await shrink(picture, LONGEST);
  const scale = small.width / picture.width;
  const sized = ({ left, top, right, bottom }: Box): Box => ({
    left: left * scale,
    top: top * scale,
    right: right * scale,
    bottom: bottom * scale,
  });
  const boxes = faces.map(({ box }) => sized(box));
  const line = Math.max(1.5, Math.max(small.width, small.height) / 500);
  const marks = faces.map(({ points }, i) => {
    const colour = i === chosen ? CHOSEN : OTHER;
    const box = boxes[i]!;
    const dot = Math.max(1, Math.min(line, sideOf(box) / 25));
    const size = Math.round(Math.min(28, Math.max(12, sideOf(box) / 4)));
    const [x, y] = [Math.max(2, box.left), box.top > size + 4 ? box.top - 5 : box.bottom + size];
    return [
      `<rect x="${box.left}" y="${box.top}" width="${widthOf(box)}" height="${heightOf(box)}" fill="none" stroke="${colour}" stroke-width="${line}"/>`,
      ...points.map(([px, py]) => `<circle cx="${px * scale}" cy="${py * scale}" r="${dot}" fill="${colour}"/>`),
      `<g stroke="#000" stroke-width="3" stroke-linejoin="round">${textSvg(String(i + 1), x, y, { size, bold: true, colour })}</g>`,
      textSvg(String(i + 1), x, y, { size, bold: true, colour }),
    ].join("");
  });
  if (crop !== undefined) {
    const [x, y, side] = [crop.x, crop.y, crop.size].map((v) => v * scale);
    marks.push(
      `<rect x="${x}" y="${y}" width="${side}" height="${side}" fill="none" stroke="${CROP}" stroke-width="${line}" stroke-dasharray="${4 * line} ${3 * line}"/>`,
    );
  }
  if (chosen === undefined) return drawOver(small, marks.join(""));
  const others = boxes.filter((_, i) => i !== chosen);
  const alpha = maskOfPerson(await networks.personMask(small, signal), small, boxes[chosen]!, others);
  return drawOver(tintAround(small, alpha), marks.join(""));
}
