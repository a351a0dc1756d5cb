import { makeFolder } from "../core/make-folder.node.ts";
import { type DrawnPerson, personAt, renderPicture, type Scene, sceneAt } from "../minifaces/index.ts";
import { SHARP_SIDE, SIDE } from "./configs.ts";
import { ALBUM, TRAINING_SEED, worldKey } from "./data-set.ts";
import { type Importance, importanceOf } from "./importance.ts";
import { drawnPictures } from "./kept-data.ts";

/** Scenes per person: one of the album, three free ones. */
const SCENES = [1, 4, 5, 6] as const;

/** Pictures in two sizes: as the VAE takes them, and twice that. */
export interface SharpSet {
  readonly seed: number;
  readonly people: number;
  readonly persons: readonly DrawnPerson[];
  /** One for each picture. */
  readonly scenes: readonly Scene[];
  /** [pictures, SIDE, SIDE, 3] */
  readonly pictures: Uint8Array;
  /** [pictures, SHARP_SIDE, SHARP_SIDE, 3] */
  readonly large: Uint8Array;
  /** The person's share of each pixel: [pictures, SHARP_SIDE, SHARP_SIDE] */
  readonly masks: Uint8Array;
}

/** The person of picture number `index`. */
export const personOf = ({ persons }: Pick<SharpSet, "persons">, index: number): DrawnPerson =>
  persons[Math.floor(index / SCENES.length)]!;

const AT_ONCE = 8;

/** Draws scenes of the training people in both sizes, once, and keeps them in the folder. */
export async function sharpSet(folder: string, people: number, onProgress?: (done: number) => void): Promise<SharpSet> {
  const seed = TRAINING_SEED;
  const persons = Array.from({ length: people }, (_, i) => personAt(seed, i));
  const scenes = persons.flatMap((_, i) => SCENES.map((n) => sceneAt(seed, i, n, n < ALBUM ? "album" : "free")));
  const sizes = { pictures: SIDE * SIDE * 3, large: SHARP_SIDE * SHARP_SIDE * 3, masks: SHARP_SIDE * SHARP_SIDE };
  type Part = keyof typeof sizes;
  const parts = Object.keys(sizes) as Part[];
  await makeFolder(folder);
  const drawn = drawnPictures(folder);
  const world = worldKey(seed);
  const name = (part: Part): string => `sharp${part}-${seed}-${people}-${SHARP_SIDE}-${world}`;
  const kept = await Promise.all(parts.map((part) => drawn.read(name(part))));
  if (kept.every((bytes, i) => bytes?.length === scenes.length * sizes[parts[i]!])) {
    const [pictures, large, masks] = kept as Uint8Array[];
    return { seed, people, persons, scenes, pictures: pictures!, large: large!, masks: masks! };
  }
  const bytes = Object.fromEntries(parts.map((part) => [part, new Uint8Array(scenes.length * sizes[part])])) as Record<
    Part,
    Uint8Array
  >;
  for (let from = 0; from < scenes.length; from += AT_ONCE) {
    const count = Math.min(AT_ONCE, scenes.length - from);
    await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const index = from + i;
        const who = personOf({ persons }, index);
        const [small, large] = [
          await renderPicture(who, scenes[index]!, SIDE),
          await renderPicture(who, scenes[index]!, SHARP_SIDE),
        ];
        bytes.pictures.set(small.picture.data, index * sizes.pictures);
        bytes.large.set(large.picture.data, index * sizes.large);
        bytes.masks.set(large.mask, index * sizes.masks);
      }),
    );
    onProgress?.(Math.floor((from + count) / SCENES.length));
  }
  for (const part of parts) await drawn.write(name(part), bytes[part]);
  return { seed, people, persons, scenes, ...bytes };
}

/** Loss weights of a large picture's pixels: [SHARP_SIDE, SHARP_SIDE]. */
export function sharpImportance(data: SharpSet, index: number, importance: Importance): Float32Array {
  const area = SHARP_SIDE * SHARP_SIDE;
  const mask = new Float32Array(area); // from() would take twenty times as long
  for (let i = 0; i < area; i++) mask[i] = data.masks[index * area + i]! / 255;
  return importanceOf(personOf(data, index), data.scenes[index]!, mask, SHARP_SIDE, importance);
}
