import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { writeUnderFreeName } from "../../core/atomic-file.node.ts";
import { UserError } from "../../core/errors.ts";
import { makeFolder } from "../../core/make-folder.node.ts";
import { seededRandom } from "../../core/random/seeded-random.ts";
import { contactSheet, encodeGreyPng, encodePng, type SheetTile } from "../../image/index.ts";
import {
  captionOf,
  classWordAt,
  faceBox,
  identityLabels,
  landmarks,
  personAt,
  renderPicture,
  type SceneKind,
  sceneAt,
} from "../../minifaces/index.ts";

export interface WorldRequest {
  readonly people: number;
  /** Pictures per person: album pictures first, then as many free ones. */
  readonly pictures: number;
  readonly seed: number;
  readonly side: number; // pixels
  readonly signal: AbortSignal;
  readonly onPicture: (done: number) => void;
}

/** Name of the index. Each line names a picture and its mask, with all their labels. */
const INDEX = "index.jsonl";
const CAPTIONS = 2; // key of the captions' random choices, besides those of album and free scenes

/** One picture of the request, with its labels. */
async function pictureAt({ pictures, seed, side, signal }: WorldRequest, index: number, n: number) {
  signal.throwIfAborted();
  const album = Math.ceil(pictures / 2);
  const kind: SceneKind = n < album ? "album" : "free";
  const person = personAt(seed, index);
  const scene = sceneAt(seed, index, kind === "album" ? n : n - album, kind);
  const caption = (identity: number) => captionOf(person, scene, seededRandom(seed, index, CAPTIONS, n), { identity });
  return { person, scene, caption, ...(await renderPicture(person, scene, side)) };
}

export interface WorldSheetRequest extends WorldRequest {
  readonly captions: boolean;
}

/** Draws a sheet with a row of pictures per person. @returns a PNG */
export async function worldSheet(request: WorldSheetRequest): Promise<Uint8Array> {
  const rows: { tiles: SheetTile[] }[] = [];
  for (let index = 0; index < request.people; index++) {
    const tiles: SheetTile[] = [];
    for (let n = 0; n < request.pictures; n++) {
      const { picture, caption } = await pictureAt(request, index, n);
      tiles.push({ picture, ...(request.captions && { caption: caption(0).replaceAll(" ,", ",") }) });
      request.onPicture(index * request.pictures + n + 1);
    }
    rows.push({ tiles });
  }
  return encodePng(contactSheet({ rows }));
}

/**
 * Writes pictures, masks and, last, index.jsonl into a folder.
 * @throws UserError out/not-empty, disk/full and others of asDiskError and makeFolder
 */
export async function renderWorld(request: WorldRequest, folder: string): Promise<void> {
  await makeFolder(folder);
  const notEmpty = () =>
    new UserError("out/not-empty", `The folder ${folder} is not empty.`, "Choose another folder with --out, or empty it first.");
  if ((await readdir(folder)).length > 0) throw notEmpty();
  const only = (name: string) => (attempt: number) => (attempt === 0 ? join(folder, name) : undefined);
  // nothing is overwritten: another run may have started in the same folder since the check
  const write = (name: string, bytes: Uint8Array) =>
    writeUnderFreeName(only(name), (sink) => sink.write(bytes)).catch((error: unknown) => {
      throw error instanceof UserError && error.code === "disk/no-free-name" ? notEmpty() : error;
    });
  const lines: string[] = [];
  for (let index = 0; index < request.people; index++)
    for (let n = 0; n < request.pictures; n++) {
      const { person, scene, caption, picture, mask } = await pictureAt(request, index, n);
      const name = `${String(index).padStart(5, "0")}_${String(n).padStart(3, "0")}`;
      const entry = {
        file: `${name}.png`,
        mask: `${name}_mask.png`,
        person: index,
        picture: n,
        kind: scene.kind,
        caption: caption(0),
        captionWithIdentity: caption(1),
        classWord: classWordAt(person, scene),
        identity: person,
        identityLabels: identityLabels(person),
        faceBox: faceBox(person, scene),
        landmarks: landmarks(person, scene),
        scene,
      };
      await write(entry.file, await encodePng(picture));
      await write(entry.mask, await encodeGreyPng(mask, request.side, request.side));
      lines.push(JSON.stringify(entry));
      request.onPicture(lines.length);
    }
  await write(INDEX, new TextEncoder().encode(`${lines.join("\n")}\n`));
}
