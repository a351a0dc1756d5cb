import { Resvg } from "@resvg/resvg-js";
import { type Rgb8, rgb8 } from "../image/rgb8.ts";
import type { Member } from "./group.ts";
import type { DrawnPerson } from "./person.ts";
import type { Scene } from "./scene.ts";
import { layerSvgs, sceneSvg } from "./scene-svg.ts";

/**
 * Draws an SVG of `sceneSvg`.
 * @param side pixels
 * @returns [side, side, 4] RGBA, straight alpha
 */
export const renderSvg = async (svg: string, side: number): Promise<Uint8Array> => straighten(rasterise(svg, side));

/** Renders to RGBA with premultiplied alpha. */
function rasterise(svg: string, side: number): Uint8Array {
  const options = { fitTo: { mode: "width" as const, value: side }, font: { loadSystemFonts: false } };
  const { width, height, pixels } = new Resvg(svg, options).render();
  if (width !== side || height !== side) throw new TypeError(`The picture is ${width}x${height}, not ${side}x${side}.`);
  return new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
}

/** Converts premultiplied to straight alpha, in place. */
function straighten(rgba: Uint8Array): Uint8Array {
  for (let i = 0; i < rgba.length; i += 4) {
    const alpha = rgba[i + 3]!;
    if (alpha === 0 || alpha === 255) continue;
    for (let k = i; k < i + 3; k++) rgba[k] = Math.round((rgba[k]! * 255) / alpha);
  }
  return rgba;
}

export interface RenderedPicture {
  readonly picture: Rgb8;
  /** [side, side]: coverage of each pixel by the person, 0 to 255. */
  readonly mask: Uint8Array;
}

/**
 * Renders a picture and the person's mask. Each layer is drawn once, and the alpha of the person's layer is the mask. Except
 * for rounding, the picture equals the view `picture`.
 * @param side pixels
 */
export async function renderPicture(person: DrawnPerson, scene: Scene, side: number): Promise<RenderedPicture> {
  const layers = layerSvgs(person, scene).map((svg) => rasterise(svg, side));
  const mask = Uint8Array.from({ length: side * side }, (_, i) => layers[1]![i * 4 + 3]!);
  return { picture: laidOver(layers, side), mask };
}

/** Renders several people before the background of the first, the first in front. @param side pixels */
export async function renderPeople(members: readonly Member[], side: number): Promise<Rgb8> {
  const [first, ...others] = members.map(({ person, scene }) => layerSvgs(person, scene));
  const [behind, front, ...border] = first!;
  const layers = [behind!, ...others.map(([, figure]) => figure!).reverse(), front!, ...border];
  return laidOver(
    layers.map((svg) => rasterise(svg, side)),
    side,
  );
}

/** Lays pictures with premultiplied alpha over each other, from back to front. */
function laidOver(layers: readonly Uint8Array[], side: number): Rgb8 {
  const pixels = side * side;
  const rgb = new Uint8Array(pixels * 3);
  for (const layer of layers)
    for (let i = 0; i < pixels; i++) {
      const clear = 255 - layer[i * 4 + 3]!;
      for (let k = 0; k < 3; k++) rgb[i * 3 + k] = layer[i * 4 + k]! + Math.round((rgb[i * 3 + k]! * clear) / 255);
    }
  return rgb8(side, side, rgb);
}

/**
 * Renders head and shoulders on a transparent background; training adds one of its own.
 * @param side pixels
 * @returns [side, side, 4] RGBA, straight alpha
 */
export const renderIdImage = (person: DrawnPerson, scene: Scene, side: number): Promise<Uint8Array> =>
  renderSvg(sceneSvg(person, scene, "idImage"), side);
