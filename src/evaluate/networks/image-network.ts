import type { Rgb8 } from "../../image/rgb8.ts";

/** A network that gives features of pictures. */
export interface ImageNetwork {
  /** Features of each picture, whatever their sizes; not of unit length. */
  features(pictures: readonly Rgb8[]): Promise<Float32Array[]>;
  close(): Promise<void>;
}
