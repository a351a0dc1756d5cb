import type { Rgb8 } from "../image/rgb8.ts";

/** A point of a picture in pixels, from its upper left corner; it may lie outside. */
export type Point = readonly [x: number, y: number];

/** A box in pixels of a picture; it may reach outside. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** The five points of alignment, as seen in the picture: left eye, right eye, nose, left and right corner of the mouth. */
export type FivePoints = readonly [Point, Point, Point, Point, Point];

/** What a detector reports of one face. */
export interface Detection {
  readonly box: Box;
  readonly points: FivePoints;
  /** Certainty of the detector, 0 to 1. */
  readonly score: number;
}

/** Dense landmarks, and how certain the network is that it was given a face. */
export interface FaceMesh {
  /** 468 points in pixels of the picture, with depth on the same scale. */
  readonly points: readonly (readonly [x: number, y: number, z: number])[];
  /** Logit: above 0 is a face. */
  readonly isFace: number;
}

/** The networks that look at photos. Each loads when it is first needed. */
export interface FaceNetworks {
  /** Faces of a picture in one pass, best first, each once; the picture is scaled to what the detector takes. */
  detect(picture: Rgb8, signal?: AbortSignal): Promise<readonly Detection[]>;
  /** Dense landmarks of one detected face. */
  mesh(picture: Rgb8, face: Detection, signal?: AbortSignal): Promise<FaceMesh>;
  /** The recogniser's unit vector of one face, aligned by its points. */
  embed(picture: Rgb8, points: FivePoints, signal?: AbortSignal): Promise<Float32Array>;
  /** Share of each pixel that belongs to a person, [height, width], 0 to 1. */
  personMask(picture: Rgb8, signal?: AbortSignal): Promise<Float32Array>;
  /** Frees the networks; they load again when needed. */
  unload(): Promise<void>;
}
