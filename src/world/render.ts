import sharp from "sharp";
import { type Rgb8, rgb8 } from "../image/rgb8.ts";
import type { Person } from "./person.ts";
import type { Scene } from "./scene.ts";
import { sceneSvg } from "./scene-svg.ts";

/**
 * Draws an SVG of `sceneSvg`.
 * @param side pixels
 * @returns [side, side, 4] RGBA, straight alpha
 */
export async function renderSvg(svg: string, side: number): Promise<Uint8Array> {
  const sized = `<svg width="${side}" height="${side}"${svg.slice("<svg".length)}`;
  const { data, info } = await sharp(Buffer.from(sized)).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  if (info.width !== side || info.height !== side || info.channels !== 4)
    throw new TypeError(`${info.width}x${info.height}x${info.channels} came where ${side}x${side}x4 was asked for.`);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

export interface RenderedPicture {
  readonly picture: Rgb8;
  /** [side, side]: how much of each pixel is the person, 0 to 255. */
  readonly mask: Uint8Array;
}

/** @param side pixels */
export async function renderPicture(person: Person, scene: Scene, side: number): Promise<RenderedPicture> {
  const [picture, alone] = await Promise.all([
    renderSvg(sceneSvg(person, scene, "picture"), side),
    renderSvg(sceneSvg(person, scene, "person"), side),
  ]);
  const pixels = side * side;
  const [rgb, mask] = [new Uint8Array(pixels * 3), new Uint8Array(pixels)];
  for (let i = 0; i < pixels; i++) {
    rgb[i * 3] = picture[i * 4]!;
    rgb[i * 3 + 1] = picture[i * 4 + 1]!;
    rgb[i * 3 + 2] = picture[i * 4 + 2]!;
    mask[i] = alone[i * 4 + 3]!;
  }
  return { picture: rgb8(side, side, rgb), mask };
}

/**
 * Head and shoulders on transparency, for the trainer to put on a ground of its own.
 * @param side pixels
 * @returns [side, side, 4] RGBA, straight alpha
 */
export const renderIdImage = (person: Person, scene: Scene, side: number): Promise<Uint8Array> =>
  renderSvg(sceneSvg(person, scene, "idImage"), side);
