/** A part of a picture, in whole pixels. */
export interface Tile {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Divides a picture into as few tiles as cover it, all of one size and evenly spread:
 *
 *     |--- tile ---|
 *             |--- tile ---|
 *                     |--- tile ---|
 *
 * @param side    most pixels of a tile's side
 * @param overlap least pixels that neighbours share: what is not wider lies whole in one of them
 */
export function searchTiles(width: number, height: number, side: number, overlap: number): Tile[] {
  const [w, h] = [Math.min(side, width), Math.min(side, height)];
  return starts(height, h, overlap).flatMap((top) =>
    starts(width, w, overlap).map((left) => ({ left, top, width: w, height: h })),
  );
}

function starts(length: number, side: number, overlap: number): number[] {
  if (length <= side) return [0];
  const count = 1 + Math.ceil((length - side) / Math.max(1, side - overlap));
  return Array.from({ length: count }, (_, i) => Math.round((i * (length - side)) / (count - 1)));
}
