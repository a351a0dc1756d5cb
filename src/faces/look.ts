import type { Notice } from "../core/notice.ts";
import type { Rgb8 } from "../image/rgb8.ts";
import type { Detection, FaceNetworks } from "./face.ts";
import { findFaces } from "./find-faces.ts";
import { centreOf, sideOf } from "./geometry.ts";
import { qualityOf } from "./quality.ts";
import type { Turn } from "./turn.ts";

/** A face that was found in a photo. */
export interface SeenFace extends Detection {
  /** Longer side of the box, in pixels of the photo. */
  readonly side: number;
  /** Logit of the second network that looked at it: above 0 is a face. */
  readonly isFace: number;
  /** Reasons why the likeness may suffer, and what to do. */
  readonly warnings: readonly Notice[];
  /** The recogniser's unit vector, computed when it is first asked for. The picture is kept until then. */
  vector(signal?: AbortSignal): Promise<Float32Array>;
}

export interface SeenPhoto {
  /** The picture, turned so that its faces are upright. */
  readonly picture: Rgb8;
  /** Degrees by which it was turned clockwise, beyond its EXIF orientation. */
  readonly turn: Turn;
  /** Faces from left to right. */
  readonly faces: readonly SeenFace[];
}

/**
 * Score from which on a detection needs no second opinion. Faces in clean photos score 0.85 and more; the one false box among 42 had 0.68, and a
 * flag of -5.5 where faces have 4 and more.
 */
const SURE = 0.8;

/** The networks that looking takes. */
export type LookingNetworks = Pick<FaceNetworks, "detect" | "mesh" | "embed">;

/** Finds the faces of a photo, and what is to be said of each. A detection that is not sure is kept only if FaceMesh takes it for a face. */
export async function lookAt(picture: Rgb8, networks: LookingNetworks, signal?: AbortSignal): Promise<SeenPhoto> {
  const found = await findFaces(picture, networks, signal);
  const faces: SeenFace[] = [];
  for (const face of found.faces) {
    signal?.throwIfAborted();
    const mesh = await networks.mesh(found.picture, face, signal);
    if (face.score < SURE && mesh.isFace <= 0) continue;
    const { box, points, score } = face;
    const warnings = qualityOf(found.picture, face, mesh);
    faces.push({
      ...{ box, points, score, side: sideOf(box), isFace: mesh.isFace, warnings },
      vector: once((stop) => networks.embed(found.picture, points, stop)),
    });
  }
  faces.sort((a, b) => centreOf(a.box)[0] - centreOf(b.box)[0]);
  return faces.length === 0 ? { picture, turn: 0, faces } : { picture: found.picture, turn: found.turn, faces };
}

/** Computes a value when it is first asked for; a failure is not kept. */
function once<T>(compute: (signal?: AbortSignal) => Promise<T>): (signal?: AbortSignal) => Promise<T> {
  let value: Promise<T> | undefined;
  return (signal) => {
    value ??= compute(signal).catch((error: unknown) => {
      value = undefined;
      throw error;
    });
    return value;
  };
}
