import { createHash } from "node:crypto";
import { makeFolder } from "../core/make-folder.node.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { type DrawnPerson, personAt, renderPicture, renderSvg, type Scene, sceneAt, sceneSvg } from "../minifaces/index.ts";
import { LATENT_SIDE, SIDE } from "./configs.ts";
import { drawnPictures } from "./kept-data.ts";

/** Album pictures per person, from which ID images are taken; they come first. */
export const ALBUM = 4;
export const PICTURES = 8;
/** Seed of the training people; those of other seeds are never seen in training. */
export const TRAINING_SEED = 1;

export interface DataSetOptions {
  /** Seed of the people; other seeds give other people. */
  readonly seed: number;
  readonly people: number;
}

/** People of MiniFaces and their pictures, as bytes. */
export interface DataSet extends DataSetOptions {
  readonly persons: readonly DrawnPerson[];
  /** PICTURES for each person. */
  readonly scenes: readonly Scene[];
  /** [people · PICTURES, SIDE, SIDE, 3] */
  readonly pictures: Uint8Array;
  /** The person's share of each pixel: [people · PICTURES, SIDE, SIDE] */
  readonly masks: Uint8Array;
  /** Head and shoulders of album pictures without background, RGBA: [people · ALBUM, SIDE, SIDE, 4] */
  readonly idImages: Uint8Array;
  /** The same with background: [people · ALBUM, SIDE, SIDE, 3] */
  readonly portraits: Uint8Array;
}

const FILES = {
  pictures: PICTURES * SIDE * SIDE * 3,
  masks: PICTURES * SIDE * SIDE,
  idImages: ALBUM * SIDE * SIDE * 4,
  portraits: ALBUM * SIDE * SIDE * 3,
} as const;
type Part = keyof typeof FILES;
const PARTS = Object.keys(FILES) as Part[];

/** People drawn concurrently: rendering uses threads of its own. */
const AT_ONCE = 8;

/** Draws the pictures of a seed's people once, and keeps them in the folder. */
export async function dataSet(folder: string, options: DataSetOptions, onProgress?: (done: number) => void): Promise<DataSet> {
  const { seed, people } = options;
  const persons = Array.from({ length: people }, (_, i) => personAt(seed, i));
  const scenes = persons.flatMap((_, i) =>
    Array.from({ length: PICTURES }, (_, picture) => sceneAt(seed, i, picture, picture < ALBUM ? "album" : "free")),
  );
  await makeFolder(folder);
  const world = worldKey(seed);
  const drawn = drawnPictures(folder);
  const name = (part: Part): string => `${part}-${seed}-${people}-${SIDE}-${world}`;
  const kept = await Promise.all(PARTS.map((part) => drawn.read(name(part))));
  if (kept.every((bytes, i) => bytes?.length === people * FILES[PARTS[i]!])) {
    const [pictures, masks, idImages, portraits] = kept as Uint8Array[];
    return { ...options, persons, scenes, pictures: pictures!, masks: masks!, idImages: idImages!, portraits: portraits! };
  }
  const bytes = Object.fromEntries(PARTS.map((part) => [part, new Uint8Array(people * FILES[part])])) as Record<Part, Uint8Array>;
  for (let from = 0; from < people; from += AT_ONCE) {
    const some = persons.slice(from, from + AT_ONCE);
    await Promise.all(
      some.map((person, i) => draw(person, scenes.slice((from + i) * PICTURES, (from + i + 1) * PICTURES), from + i, bytes)),
    );
    onProgress?.(Math.min(people, from + AT_ONCE));
  }
  for (const part of PARTS) await drawn.write(name(part), bytes[part]);
  return { ...options, persons, scenes, ...bytes };
}

/** A key that changes when people or scenes are drawn differently, so that stale pictures are not used. */
export function worldKey(seed: number): string {
  const hash = createHash("sha256");
  for (let i = 0; i < 8; i++) hash.update(sceneSvg(personAt(seed, i), sceneAt(seed, i, 0, "free"), "picture"));
  return hash.digest("hex").slice(0, 8);
}

async function draw(person: DrawnPerson, scenes: readonly Scene[], index: number, out: Record<Part, Uint8Array>): Promise<void> {
  const put = (part: Part, at: number, bytes: Uint8Array): void => out[part].set(bytes, at * bytes.length);
  await Promise.all(
    scenes.map(async (scene, i) => {
      const { picture, mask } = await renderPicture(person, scene, SIDE);
      put("pictures", index * PICTURES + i, picture.data);
      put("masks", index * PICTURES + i, mask);
      if (i >= ALBUM) return;
      put("idImages", index * ALBUM + i, await renderSvg(sceneSvg(person, scene, "idImage"), SIDE));
      put("portraits", index * ALBUM + i, opaque(await renderSvg(sceneSvg(person, scene, "portrait"), SIDE)));
    }),
  );
}

function opaque(rgba: Uint8Array): Uint8Array {
  const out = new Uint8Array((rgba.length / 4) * 3);
  for (let i = 0, j = 0; i < rgba.length; i += 4) for (let c = 0; c < 3; c++) out[j++] = rgba[i + c]!;
  return out;
}

/** Converts a picture to the VAE's input: [3, side, side] in [-1, 1]. */
export function pictureValues(
  { pictures }: Pick<DataSet, "pictures">,
  index: number,
  out: Float32Array,
  at: number,
  side = SIDE,
): void {
  const size = side * side;
  const from = index * size * 3;
  for (let i = 0; i < size; i++) for (let c = 0; c < 3; c++) out[at + c * size + i] = pictures[from + i * 3 + c]! / 127.5 - 1;
}

/** Picture number `index` of [N, 3, side, side] in [-1, 1], as bytes [side, side, 3]. */
export function pictureBytes(values: Float32Array, index: number, side = SIDE): Uint8Array {
  const area = side * side;
  const bytes = new Uint8Array(area * 3);
  for (let i = 0; i < area; i++)
    for (let c = 0; c < 3; c++) {
      const value = Math.round((values[(index * 3 + c) * area + i]! + 1) * 127.5);
      bytes[i * 3 + c] = Math.min(255, Math.max(0, value));
    }
  return bytes;
}

/** A mask averaged to the latents' size, in [0, 1]: [LATENT_SIDE, LATENT_SIDE]. */
export function latentMask({ masks }: Pick<DataSet, "masks">, index: number): Float32Array {
  const block = SIDE / LATENT_SIDE;
  const out = new Float32Array(LATENT_SIDE * LATENT_SIDE);
  for (let y = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++) {
      const to = Math.floor(y / block) * LATENT_SIDE + Math.floor(x / block);
      out[to] = out[to]! + masks[(index * SIDE + y) * SIDE + x]! / (255 * block * block);
    }
  return out;
}

/** Background of an ID image: the paper's random noise (section 4), the original scene, or one colour. */
export type Behind = "noise" | "scene" | "plain";

/** An ID image [SIDE, SIDE, 3] as bytes. @param key decides the noise or the colour */
export function idImage(data: DataSet, person: number, album: number, behind: Behind, ...key: number[]): Uint8Array {
  const size = SIDE * SIDE;
  const index = person * ALBUM + album;
  if (behind === "scene") return data.portraits.subarray(index * size * 3, (index + 1) * size * 3);
  const out = new Uint8Array(size * 3);
  const random = seededRandom(...key, person, album);
  const colour = [0, 1, 2].map(() => random.integer(256));
  for (let i = 0; i < size; i++) {
    const from = (index * size + i) * 4;
    const alpha = data.idImages[from + 3]! / 255;
    for (let c = 0; c < 3; c++) {
      const back = behind === "noise" ? random.integer(256) : colour[c]!;
      out[i * 3 + c] = Math.round(alpha * data.idImages[from + c]! + (1 - alpha) * back);
    }
  }
  return out;
}
