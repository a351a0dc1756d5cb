import sharp from "sharp";
import { seededRandom } from "../core/random/seeded-random.ts";
import {
  type ClassWord,
  classWordAt,
  type DrawnPerson,
  personAt,
  renderIdImage,
  renderSvg,
  type Scene,
  sceneAt,
  sceneSvg,
} from "../minifaces/index.ts";
import { SIDE } from "./configs.ts";

export interface Portraits {
  /** PNG files. */
  readonly pngs: readonly Uint8Array<ArrayBuffer>[];
  readonly classWord: ClassWord;
}

/** Background: the scene, in pictures of 256x256; or random noise, in pictures of the ID encoder's size. */
export type PortraitGround = "scene" | "noise";

const PORTRAIT_SIDE = 256; // pixels

/** Draws album pictures of one person of MiniFaces, cropped to head and shoulders. */
export async function drawnPortraits(
  seed: number,
  index: number,
  count: number,
  ground: PortraitGround = "scene",
): Promise<Portraits> {
  const person = personAt(seed, index);
  const scenes = Array.from({ length: count }, (_, n) => sceneAt(seed, index, n, "album"));
  const pngs: Uint8Array<ArrayBuffer>[] = [];
  for (const [n, scene] of scenes.entries()) {
    const side = ground === "scene" ? PORTRAIT_SIDE : SIDE; // resizing would average per-pixel noise to grey
    const data =
      ground === "scene"
        ? await renderSvg(sceneSvg(person, scene, "portrait"), side)
        : await onNoise(person, scene, [seed, index, n]);
    pngs.push(
      await sharp(data, { raw: { width: side, height: side, channels: 4 } })
        .removeAlpha()
        .png()
        .toBuffer(),
    );
  }
  return { pngs, classWord: classWordAt(person, scenes[0]!) };
}

async function onNoise(person: DrawnPerson, scene: Scene, key: readonly number[]): Promise<Uint8Array> {
  const rgba = await renderIdImage(person, scene, SIDE);
  const random = seededRandom(...key);
  for (let i = 0; i < rgba.length; i += 4) {
    const alpha = rgba[i + 3]! / 255;
    for (let c = i; c < i + 3; c++) rgba[c] = Math.round(alpha * rgba[c]! + (1 - alpha) * random.integer(256));
    rgba[i + 3] = 255;
  }
  return rgba;
}
