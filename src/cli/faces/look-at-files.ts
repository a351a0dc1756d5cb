import { basename, extname, join, resolve } from "node:path";
import type { FacesReport } from "../../contract/faces.ts";
import { writeFileAtomically } from "../../core/atomic-file.node.ts";
import { makeFolder } from "../../core/make-folder.node.ts";
import { squareAround } from "../../faces/crop.ts";
import { drawFaces } from "../../faces/draw-faces.ts";
import type { FaceNetworks } from "../../faces/face.ts";
import { croppedTo } from "../../faces/id-picture.ts";
import { facesReport, type Looked, lookAtPhotos, otherBoxes } from "../../faces/look-at-photos.ts";
import { openFaceNetworks } from "../../faces/networks/open-networks.node.ts";
import { SAME_PERSON } from "../../faces/networks/recogniser.ts";
import { turned } from "../../faces/turn.ts";
import { wishedPhoto } from "../../faces/wished-photo.ts";
import { clipCrop, encodePng, readPhoto } from "../../image/index.ts";
import { exists } from "../../weights/read-json.node.ts";
import { photoFiles } from "../generate/photo-files.ts";

export interface LookAtFilesOptions {
  /** Folder for pictures of what was found. */
  readonly draw?: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: (label: string, done: number, total: number) => void;
  /** Networks to use and, at the end, to unload; those of the package when absent. */
  readonly networks?: FaceNetworks;
  /** Cosine from which on two faces are one person's. */
  readonly same?: number;
}

/**
 * Looks at photo files: finds faces, chooses the person's, and draws what was found.
 * @returns the report, and the paths of the pictures that were written
 * @throws UserError those of `photoFiles`, of decoding, of choosing a face, and of writing
 */
export async function lookAtFiles(
  given: readonly string[],
  { draw, signal, onProgress = () => {}, networks = openFaceNetworks(), same = SAME_PERSON }: LookAtFilesOptions,
): Promise<{ readonly report: FacesReport; readonly written: readonly string[] }> {
  try {
    const names = await Promise.all(given.map(async (name) => ((await exists(name)) ? { path: name } : wishedPhoto(name))));
    const { paths, notices } = await photoFiles(names.map(({ path }) => path));
    const wishes = new Map(names.flatMap(({ path, wish }) => (wish === undefined ? [] : [[path, wish] as const])));
    const folder = draw === undefined ? undefined : resolve(draw);
    if (folder !== undefined) await makeFolder(folder);
    const photos = paths.map((path) => ({ name: path, read: () => readPhoto(path), wish: wishes.get(path) }));
    onProgress("looking", 0, photos.length);
    const onPhoto = (_: unknown, index: number): void => onProgress("looking", index + 1, photos.length);
    const looked = await lookAtPhotos(photos, networks, { same, signal, onPhoto });
    const report = facesReport({ ...looked, notices: [...notices, ...looked.notices] });
    const written = folder === undefined ? [] : await drawAll(looked, folder, networks, signal, onProgress);
    return { report, written };
  } finally {
    await networks.unload();
  }
}

/** Draws each photo, and what the ID encoder would see of it. */
async function drawAll(
  { photos, chosen }: Looked,
  folder: string,
  networks: FaceNetworks,
  signal: AbortSignal,
  onProgress: (label: string, done: number, total: number) => void,
): Promise<string[]> {
  const written: string[] = [];
  const taken = new Set<string>();
  for (const [n, { name, turn, faces }] of photos.entries()) {
    signal.throwIfAborted();
    const picture = turned(await readPhoto(name), turn);
    const face = chosen[n]!.face;
    const crop = face === undefined ? undefined : squareAround(picture, faces[face]!.box, otherBoxes(faces, face));
    const stem = freeName(basename(name, extname(name)), taken);
    const write = async (kind: string, png: Uint8Array): Promise<void> => {
      const path = join(folder, `${stem}.${kind}.png`);
      await writeFileAtomically(path, (sink) => sink.write(png));
      written.push(path);
    };
    await write("faces", await encodePng(await drawFaces(picture, { faces, chosen: face, crop }, networks, signal)));
    if (face !== undefined) await write("id", await encodePng(clipCrop(croppedTo(picture, crop))));
    onProgress("drawing", n + 1, photos.length);
  }
  return written;
}

/** A name that no other photo has: two folders may have pictures of one name. */
function freeName(stem: string, taken: Set<string>): string {
  let name = stem;
  for (let i = 2; taken.has(name.toLowerCase()); i++) name = `${stem}-${i}`;
  taken.add(name.toLowerCase());
  return name;
}
