/** Faces of a picture, by the longer side of each box in pixels. */
export type FaceSides = readonly number[];

/** Shares of pictures that are certainly not good. */
export interface QualityFloor {
  readonly withoutFace: number;
  readonly severalFaces: number;
  /** Whose largest face is below 64 pixels. */
  readonly smallFace: number;
}

const SMALL = 64; // pixels

/** Shares of pictures without a face, with more than one, and with a small one; NaN of no picture. */
export function qualityFloor(pictures: readonly FaceSides[]): QualityFloor {
  const share = (holds: (sides: FaceSides) => boolean): number => pictures.filter(holds).length / pictures.length;
  return {
    withoutFace: share((sides) => sides.length === 0),
    severalFaces: share((sides) => sides.length > 1),
    smallFace: share((sides) => sides.length > 0 && Math.max(...sides) < SMALL),
  };
}
