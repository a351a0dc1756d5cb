import type { Person } from "../../contract/person.ts";
import type { Photo } from "../../contract/photo.ts";
import type { GenerateRequest } from "../../contract/request.ts";
import { type FloatArray, floats } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import { seededRandom } from "../../core/random/seeded-random.ts";
import type { FaceWish } from "../../faces/choose.ts";
import { type CropMode, type Square, squareAround } from "../../faces/crop.ts";
import type { Box, FaceNetworks } from "../../faces/face.ts";
import { croppedTo, noiseAround } from "../../faces/id-picture.ts";
import { type LookedAt, lookAtPhotos, otherBoxes } from "../../faces/look-at-photos.ts";
import type { FacePack } from "../../faces/pack/open-pack.node.ts";
import { packVector } from "../../faces/pack/pack-vector.ts";
import { refuseTooSmall } from "../../faces/quality.ts";
import { type Turn, turned } from "../../faces/turn.ts";
import { wishedPhoto } from "../../faces/wished-photo.ts";
import { clipNormalise, clipPreprocess, type Rgb8 } from "../../image/index.ts";
import type { EncodingCache } from "../../sessions/encoding-cache.ts";
import type { IdGraph } from "../../sessions/graphs.ts";
import { exists } from "../../weights/read-json.node.ts";
import { readIdEmbeds } from "../denoise/read-latents.ts";
import { fileName } from "../public-name.ts";
import { openPhoto } from "./photos.ts";

/** What looks at photos. */
export interface FaceTools {
  readonly networks: FaceNetworks;
  /** Cosine of the networks' vectors from which on two faces are one person's. */
  readonly same: number;
  /** Face networks that the user gave, for V2's face embeddings. */
  readonly pack: FacePack | undefined;
}

/** Options of a request about photos. */
export type PhotoOptions = Pick<GenerateRequest, "idCrop" | "idBackground" | "allowSmallFaces">;

/** What was taken of one photo, as a picture's settings say it. */
export interface UsedFace {
  /** The photo's file, without its folders. */
  readonly photo: string;
  /** Index of the face from the left, counted from 0; null if none was found. */
  readonly face: number | null;
  /** Degrees by which the photo was turned clockwise, beyond its EXIF orientation. */
  readonly turn: Turn;
  /** Square that was cut out of the turned photo, in its pixels; null where the photo stayed as it is. */
  readonly crop: Square | null;
}

/** The ID encoder's input for a person. */
export interface PersonPhotos {
  /** [3, image, image] for each photo. */
  readonly pixels: readonly Float32Array[];
  /** Face embeddings [photos, width], for V2. */
  readonly faces: FloatArray | undefined;
  /** Whether these were made of the photos, by a pack. */
  readonly ofPack: boolean;
  readonly notices: readonly Notice[];
  /** What was taken of each photo. */
  readonly used: readonly UsedFace[];
  /** Whether that is less than whole photos, or a choice among faces. */
  readonly picked: boolean;
  /** The recogniser's unit vectors of the faces that were found. */
  readonly vectors: readonly Float32Array[];
}

export interface NamedPhoto {
  /** Name in messages. */
  readonly name: string;
  readonly source: Photo;
  readonly wish: FaceWish | undefined;
}

/** Decoded photos that are kept until they are cropped, in bytes; others are decoded twice. */
const KEPT_BYTES = 256 * 2 ** 20;

/**
 * Reads the ID encoder's input for a person: photos, cropped around the person's face, and V2's face embeddings.
 * Without `tools`, and with `idCrop` off, photos are taken whole, as in the official code.
 *
 * @throws UserError those of openPhoto, readIdEmbeds, lookAtPhotos and refuseTooSmall; face/crop-off, face/not-found, crop/outside, face-pack/width
 * @see TencentARC/PhotoMaker 060b4fc inference_scripts/inference_pmv2.py for the face embeddings
 */
export async function readPersonPhotos(
  graph: Pick<IdGraph, "image" | "faceWidth">,
  person: Pick<Person, "photos" | "idEmbeds" | "face" | "crop">,
  options: PhotoOptions,
  {
    tools,
    cache,
    signal,
    vectors = false,
  }: {
    readonly tools: FaceTools | undefined;
    readonly cache: EncodingCache;
    readonly signal?: AbortSignal | undefined;
    /** Whether faces are looked for in any case, for their vectors. */
    readonly vectors?: boolean;
  },
): Promise<PersonPhotos> {
  const { idCrop: mode = "auto", idBackground: background = "keep", allowSmallFaces = false } = options;
  const given = person.idEmbeds === undefined ? undefined : await readIdEmbeds(person.idEmbeds);
  const photos = await Promise.all(person.photos.map((photo, i) => namedPhoto(photo, i, person.face)));
  const pack = given === undefined && graph.faceWidth > 0 ? tools?.pack : undefined;
  const looks = tools !== undefined && photos.length > 0 && (mode !== "off" || background === "noise" || vectors);
  if (!looks && pack === undefined) refuseUnusedWish(photos);
  const pictures = picturesOf(photos);
  const looked = looks
    ? await lookAtPhotos(
        photos.map(({ name, wish }, i) => ({ name, wish, read: () => pictures.read(i) })),
        tools.networks,
        { same: tools.same, signal, cache },
      )
    : undefined;

  const pixels: Float32Array[] = [];
  const embeddings: (Float32Array | undefined)[] = [];
  const used: UsedFace[] = [];
  const warnings: Notice[] = [];
  for (const [i, { name, source, wish }] of photos.entries()) {
    signal?.throwIfAborted();
    const seen = looked?.photos[i];
    const chosen = looked?.chosen[i]?.face;
    const face = chosen === undefined ? undefined : seen?.faces[chosen];
    const turn = seen?.turn ?? 0;
    const picture = turned(await pictures.read(i), turn);
    pictures.release(i);
    if (face !== undefined) {
      if (mode !== "off" || background === "noise") refuseTooSmall(name, face.side, allowSmallFaces);
      warnings.push(...face.warnings.map(({ code, message }) => ({ code, message: `${name}: ${message}` })));
    }
    const square = squareOf({ name, picture, seen, chosen, mode, own: person.crop?.[i] });
    used.push({ photo: publicPhoto(source), face: chosen ?? null, turn, crop: square ?? null });
    const seenPixels =
      background === "noise" && tools !== undefined && face !== undefined
        ? clipNormalise(
            await noiseAround(picture, { face: face.box, others: otherBoxes(seen!.faces, chosen!) }, square, tools.networks, {
              side: graph.image,
              random: seededRandom(0),
              signal,
            }),
          )
        : await clipPreprocess(croppedTo(picture, square), graph.image);
    pixels.push(seenPixels);
    if (pack !== undefined) {
      // where nobody had to choose, the largest face is taken, as in the reference
      const box = wish !== undefined || (seen?.faces.length ?? 0) > 1 ? face?.box : undefined;
      embeddings.push(
        await packVector(picture, { name, wish: seen === undefined ? wish : undefined, face: box, pack, cache, signal }),
      );
    }
  }
  return {
    pixels,
    faces: given ?? (pack === undefined ? undefined : joined(photos, embeddings, graph.faceWidth)),
    ofPack: pack !== undefined,
    notices: [...told(looked?.notices ?? [], photos.length), ...warnings],
    used,
    picked:
      used.some(({ crop, turn }) => crop !== null || turn !== 0) ||
      (looked?.photos.some(({ faces }) => faces.length > 1) ?? false),
    vectors:
      looked === undefined ? [] : looked.photos.flatMap(({ faces }, i) => faces[looked.chosen[i]!.face ?? -1]?.vector ?? []),
  };
}

/** A photo with its name and the face that is asked for: by its path, or by the person's `face`. */
export async function namedPhoto(source: Photo, index: number, face: Person["face"]): Promise<NamedPhoto> {
  const wish = (Array.isArray(face) ? face[index] : face) ?? undefined;
  if (typeof source !== "string") return { name: `photo ${index + 1}`, source, wish };
  const { path, wish: inName } = (await exists(source)) ? { path: source } : wishedPhoto(source);
  return { name: path, source: path, wish: inName ?? wish };
}

/** Reads photos, and keeps some of them decoded. */
function picturesOf(photos: readonly NamedPhoto[]) {
  const kept = new Map<number, Rgb8>();
  let bytes = 0;
  return {
    async read(i: number): Promise<Rgb8> {
      const known = kept.get(i);
      if (known !== undefined) return known;
      const { upright } = await openPhoto(photos[i]!.source);
      if (bytes + upright.data.length <= KEPT_BYTES) {
        kept.set(i, upright);
        bytes += upright.data.length;
      }
      return upright;
    },
    release(i: number): void {
      bytes -= kept.get(i)?.data.length ?? 0;
      kept.delete(i);
    },
  };
}

/** @throws UserError face/crop-off */
function refuseUnusedWish(photos: readonly NamedPhoto[]): void {
  const asked = photos.find(({ wish }) => wish !== undefined);
  if (asked === undefined) return;
  throw new UserError(
    "face/crop-off",
    `A face of ${asked.name} is chosen, and --id-crop off (idCrop) takes photos whole, whoever is in them.`,
    "Leave out --id-crop off, or the choice of a face.",
  );
}

interface ToCrop {
  readonly name: string;
  readonly picture: Rgb8;
  readonly seen: LookedAt | undefined;
  readonly chosen: number | undefined;
  readonly mode: CropMode;
  /** The square that the request gives; null for the whole photo. */
  readonly own: Square | null | undefined;
}

/** @throws UserError crop/outside */
function squareOf({ name, picture, seen, chosen, mode, own }: ToCrop): Square | undefined {
  if (own === undefined) {
    const box: Box | undefined = chosen === undefined ? undefined : seen?.faces[chosen]?.box;
    return box && squareAround(picture, box, otherBoxes(seen!.faces, chosen!), mode);
  }
  if (own === null || (own.x + own.size <= picture.width && own.y + own.size <= picture.height)) return own ?? undefined;
  throw new UserError(
    "crop/outside",
    `The crop of ${name} is ${own.size} pixels at ${own.x},${own.y}, and the photo has ${picture.width}x${picture.height}.`,
    "Give a square that lies in the upright photo, or null for the whole photo.",
  );
}

const publicPhoto = (source: Photo): string => (typeof source === "string" ? fileName(source) : `<${source.length} bytes>`);

/** @throws UserError face/not-found, face-pack/width */
function joined(photos: readonly NamedPhoto[], vectors: readonly (Float32Array | undefined)[], width: number): FloatArray {
  const without = photos.filter((_, i) => vectors[i] === undefined).map(({ name }) => name);
  if (without.length > 0)
    throw new UserError(
      "face/not-found",
      `No face was found in ${without.join(", ")}, and a V2 adapter needs one in every photo.`,
      "Leave these photos out, or give others in which the face is larger and seen from the front.",
    );
  const other = vectors.find((vector) => vector!.length !== width);
  if (other !== undefined)
    throw new UserError(
      "face-pack/width",
      `The pack's recogniser gives ${other.length} numbers for a face, and the adapter takes ${width}.`,
      "Give the pack that the adapter was trained with: antelopev2 or buffalo_l for PhotoMaker V2.",
    );
  const out = new Float32Array(photos.length * width);
  for (const [i, vector] of vectors.entries()) out.set(vector!, i * width);
  return floats(out, photos.length, width);
}

/** Where no photo has a face, this is said once. */
function told(notices: readonly Notice[], photos: number): Notice[] {
  const none = notices.filter(({ code }) => code === "face/none");
  if (photos < 2 || none.length < photos) return [...notices];
  const message = `No face was found in any of the ${photos} photos. They are used whole; photos with a face that is seen from the front give a better likeness.`;
  return [{ code: "face/none", message }, ...notices.filter((notice) => !none.includes(notice))];
}
