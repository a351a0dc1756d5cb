import sharp from "sharp";
import { type ClassWord, classWordOf, personAt, renderSvg, sceneAt, sceneSvg } from "../world/index.ts";

export interface Portraits {
  /** PNG files, 256x256. */
  readonly pngs: readonly Uint8Array<ArrayBuffer>[];
  readonly classWord: ClassWord;
}

const SIDE = 256; // pixels

/** Album pictures of one person of MiniFaces, cut to head and shoulders. */
export async function drawnPortraits(seed: number, index: number, count: number): Promise<Portraits> {
  const person = personAt(seed, index);
  const scenes = Array.from({ length: count }, (_, n) => sceneAt(seed, index, n, "album"));
  const pngs: Uint8Array<ArrayBuffer>[] = [];
  for (const scene of scenes) {
    const data = await renderSvg(sceneSvg(person, scene, "portrait"), SIDE);
    pngs.push(
      await sharp(data, { raw: { width: SIDE, height: SIDE, channels: 4 } })
        .removeAlpha()
        .png()
        .toBuffer(),
    );
  }
  return { pngs, classWord: classWordOf(person, scenes[0]!) };
}
