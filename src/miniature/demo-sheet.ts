import type { DrawnFaceTools } from "../faces/networks/open-drawn.node.ts";
import { contactSheet, type SheetTile } from "../image/contact-sheet.ts";
import { decodePhoto, encodePng, type Rgb8 } from "../image/index.ts";
import type { Drawer } from "./benchmark.ts";
import { SHARP_SIDE } from "./configs.ts";
import {
  ALBUM_SHOWN,
  DEMO_GUIDANCE,
  DEMO_SCHEDULER,
  DEMO_STEPS,
  type DemoPhoto,
  type DemoPhotoKind,
  type DemoPicture,
  type DemoPlan,
} from "./demo-plan.ts";
import { asPngs, groupPhoto, idPictures, widePhotos } from "./drawn-photos.ts";
import { drawnPortraits } from "./portraits.ts";

export interface DemoModels {
  readonly withAdapter: Drawer;
  readonly without: Drawer;
  /** How faces are found in photos of drawn people; needed by plans in which they are. */
  readonly faces?: DrawnFaceTools | undefined;
}

type Png = Uint8Array<ArrayBuffer>;

/** The request that makes a picture of the plan. */
const requestOf = ({ prompt, seed, startMergeStep, photos }: DemoPicture, idImages: readonly Png[]) => ({
  prompt,
  seed,
  numInferenceSteps: DEMO_STEPS,
  guidanceScale: DEMO_GUIDANCE,
  scheduler: DEMO_SCHEDULER,
  ...(photos.length === 0 ? {} : { startMergeStep, idCrop: "off" as const, inputIdImages: [...idImages] }),
});

/** Makes the ID images of a picture. */
type IdImages = (photos: readonly DemoPhoto[]) => Promise<readonly Png[]>;

/** Reads ID images from portraits and photos. */
function idImagesOf(
  plan: DemoPlan,
  portraits: readonly (readonly Png[])[],
  faces: DrawnFaceTools | undefined,
): { readonly idImages: IdImages; readonly whole: (photo: DemoPhoto) => Promise<Rgb8> } {
  const drawn = new Map<string, Promise<Rgb8>>();
  const draw = async ({ seed, index }: DemoPlan["people"][number], of: DemoPhotoKind): Promise<Rgb8> =>
    of === "group" ? (await groupPhoto(seed, index)).picture : (await widePhotos(seed, index, 1))[0]!.picture;
  const whole = (photo: DemoPhoto): Promise<Rgb8> => {
    if ("album" in photo) return decodePhoto(portraits[photo.person]![photo.album]!);
    const key = `${photo.person} ${photo.of}`;
    const picture = drawn.get(key) ?? draw(plan.people[photo.person]!, photo.of);
    drawn.set(key, picture);
    return picture;
  };
  const idImage = async (photo: DemoPhoto): Promise<Png> => {
    if ("album" in photo) return portraits[photo.person]![photo.album]!;
    const [portrait, picture] = [await whole({ person: photo.person, album: 0 }), await whole(photo)];
    if (photo.crop === "off") return (await asPngs([picture]))[0]!;
    if (faces === undefined) throw new TypeError("the plan needs the networks for drawn faces");
    return (await asPngs((await idPictures([portrait, picture], faces)).pictures))[1]!;
  };
  const idImages = (photos: readonly DemoPhoto[]): Promise<readonly Png[]> => Promise.all(photos.map(idImage));
  return { idImages, whole };
}

/**
 * Draws the plan's people, generates its pictures and lays them out with captions.
 * @param onProgress receives how many pictures are done
 * @returns a PNG
 */
export async function demoSheet(
  plan: DemoPlan,
  { withAdapter, without, faces }: DemoModels,
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress?: (done: number, of: number) => void },
): Promise<Uint8Array> {
  const albums = await Promise.all(plan.people.map(({ seed, index }) => drawnPortraits(seed, index, ALBUM_SHOWN)));
  const portraits = albums.map(({ pngs }) => pngs);
  const { idImages, whole } = idImagesOf(plan, portraits, faces);
  const wanted = plan.rows.flatMap(({ tiles }) => ("portraitsOf" in tiles ? [] : tiles));
  const made = new Map<DemoPicture, Rgb8>();
  for (const { tiles } of plan.rows) {
    if ("portraitsOf" in tiles) continue;
    for (const model of [without, withAdapter]) {
      const some = tiles.filter(({ photos }) => (photos.length === 0) === (model === without));
      const results = await model.generateTogether(
        await Promise.all(some.map(async (picture) => requestOf(picture, await idImages(picture.photos)))),
        { signal },
      );
      for (const [i, { images }] of results.entries()) made.set(some[i]!, await decodePhoto(images[0]!.png));
      onProgress?.(made.size, wanted.length);
    }
  }
  const rows = await Promise.all(
    plan.rows.map(async ({ label, shown = [], tiles }) => ({
      label,
      tiles: [
        ...(await Promise.all(
          shown.map(async ({ photo, caption }): Promise<SheetTile> => ({ picture: await whole(photo), caption })),
        )),
        ...("portraitsOf" in tiles
          ? await Promise.all(
              portraits[tiles.portraitsOf]!.map(async (png): Promise<SheetTile> => ({ picture: await decodePhoto(png) })),
            )
          : tiles.map((tile): SheetTile => ({ picture: made.get(tile)!, caption: tile.caption }))),
      ],
    })),
  );
  const side = Math.max(...[...made.values()].map(({ width }) => width));
  return encodePng(contactSheet({ title: titleOf(side), rows, tile: TILE, scale: side < TILE ? 2 : 1 }));
}

/** Side of a tile: that of the sharp decoder's pictures, so that each pixel of theirs is one of the sheet. */
const TILE = SHARP_SIDE;

const titleOf = (side: number): string =>
  `Drawn people whom the miniature has never seen, and what it generates of them: pictures of ${side}x${side} pixels${side < TILE ? ", enlarged" : ""}`;
