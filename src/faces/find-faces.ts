import { cutOut } from "../image/cut-out.ts";
import { type Rgb8, rgb8 } from "../image/rgb8.ts";
import { shrink } from "../image/shrink.ts";
import type { Detection, FaceMesh, FaceNetworks } from "./face.ts";
import { placed, type SearchView } from "./geometry.ts";
import { mergeSightings, type Sighting } from "./merge.ts";
import { searchTiles } from "./tiles.ts";
import { TURNS, type Turn, turned, uprightTurn } from "./turn.ts";

/** Side of the picture that detectors look at, in pixels; what is larger they shrink. */
const DETECTOR_SIDE = 640;
/** Side of the smallest face that detectors find in it. */
const LEAST_SEEN = 16; // pixels
/** Side of the smallest face that is sought in a photo. */
const LEAST_FACE = 40; // pixels

/** A detection, and what the second network says of it. */
export interface FoundFace extends Detection {
  readonly mesh: FaceMesh;
}

export interface Found {
  readonly picture: Rgb8;
  /** Degrees by which the picture was turned clockwise, beyond its EXIF orientation, to set its faces upright. */
  readonly turn: Turn;
  /** Faces in pixels of the turned picture, best first. */
  readonly faces: readonly FoundFace[];
}

/** The networks that find faces. */
export type Detector = Pick<FaceNetworks, "detect" | "mesh">;

/**
 * Score from which on a detection needs no second opinion. Faces in clean photos score 0.85 and more; the one false box among 42 had 0.68, and
 * -5.5 from FaceMesh, where faces have 4 and more.
 */
const SURE = 0.8;
/** FaceMesh's logit of a face that is seen well: 19 and more in upright photos, mostly below 8 where a face lies on its side. */
const CLEAR = 8;

/**
 * Finds the faces of a picture, each once: in the whole of it and, if it is large, in tiles. A picture without a face that is sure and upright is looked
 * at in all four turns, and turned to where its faces are seen best.
 */
export async function findFaces(picture: Rgb8, networks: Detector, signal?: AbortSignal): Promise<Found> {
  const look = async (turn: Turn): Promise<Found> => {
    const view = turned(picture, turn);
    return { picture: view, turn, faces: await confirmed(view, await facesOf(view, networks, signal), networks, signal) };
  };
  let best = await look(0);
  if (best.faces.some(isUpright)) return best;
  for (const turn of TURNS.slice(1)) {
    const other = await look(turn);
    if (certainty(other.faces) > certainty(best.faces)) best = other;
  }
  return best;
}

const isUpright = ({ score, mesh, points }: FoundFace): boolean =>
  score >= SURE && mesh.isFace >= CLEAR && uprightTurn(points) === 0;

/** How well faces are seen: a face on its side counts little. */
const certainty = (faces: readonly FoundFace[]): number =>
  faces.reduce(
    (sum, { score, mesh, points }) =>
      sum + score * Math.min(1, Math.max(0.1, mesh.isFace / CLEAR)) * (uprightTurn(points) === 0 ? 1 : 0.1),
    0,
  );

/** Asks the second network for each face. What is not sure is kept only if both take it for a face. */
async function confirmed(
  picture: Rgb8,
  faces: readonly Detection[],
  networks: Detector,
  signal: AbortSignal | undefined,
): Promise<FoundFace[]> {
  const kept: FoundFace[] = [];
  for (const face of faces) {
    signal?.throwIfAborted();
    const mesh = await networks.mesh(picture, face, signal);
    if (face.score >= SURE || mesh.isFace > 0) kept.push({ ...face, mesh });
  }
  return kept;
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
    const tiles = searchTiles(fine.width, fine.height, DETECTOR_SIDE, Math.min(overlap, DETECTOR_SIDE / 2));
    for (const tile of tiles) seen.push(...(await look(fine, tile)));
  }
  return seen.length > 0 ? mergeSightings(seen) : filling(whole);

  async function look(view: Rgb8, { left, top, width, height }: ReturnType<typeof searchTiles>[number]): Promise<Sighting[]> {
    signal?.throwIfAborted();
    const place: SearchView = { across: view.width / picture.width, down: view.height / picture.height, left, top };
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
    const place: SearchView = { across: view.width / picture.width, down: view.height / picture.height, left: -left, top: -top };
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
