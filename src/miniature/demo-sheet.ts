import { contactSheet, type SheetTile } from "../image/contact-sheet.ts";
import { decodePhoto, encodePng, type Rgb8 } from "../image/index.ts";
import type { Drawer } from "./benchmark.ts";
import { SHARP_SIDE } from "./configs.ts";
import { ALBUM_SHOWN, DEMO_GUIDANCE, DEMO_SCHEDULER, DEMO_STEPS, type DemoPicture, type DemoPlan } from "./demo-plan.ts";
import { drawnPortraits } from "./portraits.ts";

export interface DemoModels {
  readonly withAdapter: Drawer;
  readonly without: Drawer;
}

/** The request that makes a picture of the plan. */
const requestOf = (
  { prompt, seed, startMergeStep, photos }: DemoPicture,
  portraits: readonly (readonly Uint8Array<ArrayBuffer>[])[],
) => ({
  prompt,
  seed,
  numInferenceSteps: DEMO_STEPS,
  guidanceScale: DEMO_GUIDANCE,
  scheduler: DEMO_SCHEDULER,
  ...(photos.length === 0
    ? {}
    : { startMergeStep, inputIdImages: photos.map(({ person, album }) => portraits[person]![album]!) }),
});

/**
 * Draws the plan's people, generates its pictures and lays them out with captions.
 * @param onProgress receives how many pictures are done
 * @returns a PNG
 */
export async function demoSheet(
  plan: DemoPlan,
  { withAdapter, without }: DemoModels,
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress?: (done: number, of: number) => void },
): Promise<Uint8Array> {
  const albums = await Promise.all(plan.people.map(({ seed, index }) => drawnPortraits(seed, index, ALBUM_SHOWN)));
  const portraits = albums.map(({ pngs }) => pngs);
  const wanted = plan.rows.flatMap(({ tiles }) => ("portraitsOf" in tiles ? [] : tiles));
  const made = new Map<DemoPicture, Rgb8>();
  for (const { tiles } of plan.rows) {
    if ("portraitsOf" in tiles) continue;
    for (const model of [without, withAdapter]) {
      const some = tiles.filter(({ photos }) => (photos.length === 0) === (model === without));
      const results = await model.generateTogether(
        some.map((picture) => requestOf(picture, portraits)),
        { signal },
      );
      for (const [i, { images }] of results.entries()) made.set(some[i]!, await decodePhoto(images[0]!.png));
      onProgress?.(made.size, wanted.length);
    }
  }
  const rows = await Promise.all(
    plan.rows.map(async ({ label, tiles }) => ({
      label,
      tiles:
        "portraitsOf" in tiles
          ? await Promise.all(
              portraits[tiles.portraitsOf]!.map(async (png): Promise<SheetTile> => ({ picture: await decodePhoto(png) })),
            )
          : tiles.map((tile): SheetTile => ({ picture: made.get(tile)!, caption: tile.caption })),
    })),
  );
  const side = Math.max(...[...made.values()].map(({ width }) => width));
  return encodePng(contactSheet({ title: titleOf(side), rows, tile: TILE, scale: side < TILE ? 2 : 1 }));
}

/** Side of a tile: that of the sharp decoder's pictures, so that each pixel of theirs is one of the sheet. */
const TILE = SHARP_SIDE;

const titleOf = (side: number): string =>
  `Drawn people whom the miniature has never seen, and what it generates of them: pictures of ${side}x${side} pixels${side < TILE ? ", enlarged" : ""}`;
