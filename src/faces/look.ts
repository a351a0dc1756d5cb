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

/** The networks that looking takes. */
export type LookingNetworks = Pick<FaceNetworks, "detect" | "mesh" | "embed">;

/** Finds the faces of a photo, and what is to be said of each. */
export async function lookAt(picture: Rgb8, networks: LookingNetworks, signal?: AbortSignal): Promise<SeenPhoto> {
  const found = await findFaces(picture, networks, signal);
  const faces = found.faces.map((face): SeenFace => {
    const { box, points, score, mesh } = face;
    return {
      ...{ box, points, score, side: sideOf(box), isFace: mesh.isFace, warnings: qualityOf(found.picture, face, mesh) },
      vector: once((stop) => networks.embed(found.picture, points, stop)),
    };
  });
  faces.sort((a, b) => centreOf(a.box)[0] - centreOf(b.box)[0]);
  return { picture: found.picture, turn: found.turn, faces };
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
