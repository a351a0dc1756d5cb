import { contactSheet, decodePhoto, encodePng, type Rgb8 } from "../image/index.ts";
import { ALBUM } from "./data-set.ts";
import { drawnPortraits } from "./portraits.ts";
import type { TestSet } from "./test-set.ts";

const [PEOPLE, DRAWN] = [8, 4];

/**
 * Draws a sheet of a test set's first people: their photos, and beside them the generated pictures.
 * @param pictures one per case of the set
 * @returns a PNG
 */
export async function samplesSheet({ seed, persons, cases }: TestSet, pictures: readonly Rgb8[]): Promise<Uint8Array> {
  const rows = persons.slice(0, PEOPLE).map(async (_, person) => {
    const { pngs } = await drawnPortraits(seed, person, ALBUM);
    const references = await Promise.all(pngs.map(async (png) => ({ picture: await decodePhoto(png) })));
    const drawn = cases.flatMap((one, i) =>
      one.person === person && one.photo ? [{ picture: pictures[i]!, caption: one.prompt }] : [],
    );
    return { label: `${person}`, tiles: [...references, ...drawn.slice(0, DRAWN)] };
  });
  const headings = ["ID images, drawn", ...Array<string>(ALBUM - 1).fill(""), "generated"];
  return encodePng(contactSheet({ title: `People of seed ${seed}`, headings, rows: await Promise.all(rows), tile: 128 }));
}
