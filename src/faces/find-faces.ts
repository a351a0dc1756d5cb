import { cutOut } from "../image/cut-out.ts";
import { type Rgb8, rgb8 } from "../image/rgb8.ts";
import { shrink } from "../image/shrink.ts";
import type { Detection, FaceNetworks } from "./face.ts";
import { placed, type View } from "./geometry.ts";
import { mergeSightings, type Sighting } from "./merge.ts";
import { tilesOf } from "./tiles.ts";
import { TURNS, type Turn, turned, uprightTurn } from "./turn.ts";

/** Side of the picture that detectors look at, in pixels; what is larger they shrink. */
const DETECTOR_SIDE = 640;
/** Side of the smallest face that detectors find in it. */
const LEAST_SEEN = 16; // pixels
/** Side of the smallest face that is sought in a photo. */
const LEAST_FACE = 40; // pixels

export interface Found {
  readonly picture: Rgb8;
  /** How the picture was turned, beyond its EXIF orientation, to set its faces upright. */
  readonly turn: Turn;
  /** Faces in pixels of the turned picture, best first. */
  readonly faces: readonly Detection[];
}

/** The part of the networks that finds faces. */
export type Detector = Pick<FaceNetworks, "detect">;

/**
 * Finds the faces of a picture, each once: in the whole of it and, if it is large, in tiles. A picture whose faces lie on their side or upside down is
 * turned; one without faces is looked at in all four turns.
 */
export async function findFaces(picture: Rgb8, networks: Detector, signal?: AbortSignal): Promise<Found> {
  const faces = await facesOf(picture, networks, signal);
  const turn = usualTurn(faces);
  if (turn !== 0) {
    const upright = turned(picture, turn);
    const better = await facesOf(upright, networks, signal);
    if (certainty(better) > certainty(faces)) return { picture: upright, turn, faces: better };
  }
  if (faces.length > 0) return { picture, turn: 0, faces };
  let best: Found = { picture, turn: 0, faces };
  for (const other of TURNS.slice(1)) {
    const view = turned(picture, other);
    const seen = (await facesOf(view, networks, signal)).filter(({ points }) => uprightTurn(points) === 0);
    if (certainty(seen) > certainty(best.faces)) best = { picture: view, turn: other, faces: seen };
  }
  return best;
}

const certainty = (faces: readonly Detection[]): number => faces.reduce((sum, { score }) => sum + score, 0);

/** The turn that sets most of the faces upright, by their scores. */
function usualTurn(faces: readonly Detection[]): Turn {
  const weight = (turn: Turn): number => certainty(faces.filter(({ points }) => uprightTurn(points) === turn));
  return TURNS.reduce((best, turn) => (weight(turn) > weight(best) ? turn : best));
}

/** Faces of a picture as it stands. */
async function facesOf(picture: Rgb8, networks: Detector, signal?: AbortSignal): Promise<Detection[]> {
  const longer = Math.max(picture.width, picture.height);
  // in `fine` the smallest face that is sought is as large as a detector needs it
  const fine = await shrink(picture, Math.max(DETECTOR_SIDE, (longer * LEAST_SEEN) / LEAST_FACE));
  const whole = await shrink(fine, DETECTOR_SIDE);
  const seen = await look(whole, { left: 0, top: 0, width: whole.width, height: whole.height });
  if (fine !== whole) {
    // a face that is too small for the pass over the whole lies in one of the tiles, not half in two
    const overlap = (1.25 * LEAST_SEEN * Math.max(fine.width, fine.height)) / DETECTOR_SIDE;
    const tiles = tilesOf(fine.width, fine.height, DETECTOR_SIDE, Math.min(overlap, DETECTOR_SIDE / 2));
    for (const tile of tiles) seen.push(...(await look(fine, tile)));
  }
  return seen.length > 0 ? mergeSightings(seen) : filling(whole);

  async function look(view: Rgb8, { left, top, width, height }: ReturnType<typeof tilesOf>[number]): Promise<Sighting[]> {
    signal?.throwIfAborted();
    const place: View = { across: view.width / picture.width, down: view.height / picture.height, left, top };
    const found = await networks.detect(cutOut(view, left, top, width, height), signal);
    return found.map((face) => {
      const { box } = face;
      const cut =
        (left > 0 && box.left < EDGE) ||
        (top > 0 && box.top < EDGE) ||
        (left + width < view.width && box.right > width - EDGE) ||
        (top + height < view.height && box.bottom > height - EDGE);
      return { ...placed(face, place), cut };
    });
  }

  /** Looks for a face that fills the picture: detectors have learnt faces with something around them. */
  async function filling(view: Rgb8): Promise<Detection[]> {
    signal?.throwIfAborted();
    const [left, top] = [Math.round(view.width / 2), Math.round(view.height / 2)];
    const place: View = { across: view.width / picture.width, down: view.height / picture.height, left: -left, top: -top };
    const found = await networks.detect(withMargin(view, left, top), signal);
    return mergeSightings(found.map((face) => ({ ...placed(face, place), cut: false })));
  }
}

/** Pixels from the edge of a tile at which a face counts as cut. */
const EDGE = 2;

/** Puts a picture into the middle of a grey one. */
function withMargin({ width, height, data }: Rgb8, left: number, top: number): Rgb8 {
  const wide = width + 2 * left;
  const out = new Uint8Array(wide * (height + 2 * top) * 3).fill(128);
  for (let y = 0; y < height; y++) out.set(data.subarray(y * width * 3, (y + 1) * width * 3), ((y + top) * wide + left) * 3);
  return rgb8(wide, height + 2 * top, out);
}
