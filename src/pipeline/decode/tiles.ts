/** Channels of pixels, or of latents: [C, height, width]. */
export interface Plane {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly data: Float32Array;
}

export interface TileOptions {
  /** Largest area of a tile, height · width, in units of the input. */
  readonly area: number;
  /** Smallest overlap of neighbouring tiles, in units of the input. */
  readonly overlap: number;
}

/**
 * Runs a model over overlapping tiles and blends the results, so that memory does not grow with the picture. In an overlap, the weight of
 * a tile falls towards its own edge. Tiles have the shape with the least work in all, which may be strips:
 *
 *     +-----+-+-----+
 *     |     | |     |      two tiles with one overlap: in it, the left
 *     |     | |     |      tile's weight falls and the right one's rises
 *     +-----+-+-----+
 *
 * @param run gives for a tile [C, h, w] its result [C', h·f, w·f], with the same whole f each time
 */
export async function tiled(input: Plane, run: (tile: Plane) => Promise<Plane>, options: TileOptions): Promise<Plane> {
  const { rows, columns } = tilesOf(input, options);
  let sum: { channels: number; height: number; width: number; data: Float32Array } | undefined;
  let weights = new Float32Array();
  for (const top of rows.starts)
    for (const left of columns.starts) {
      const [h, w] = [rows.size, columns.size];
      const result = await run(cut(input, top, left, h, w));
      const factor = result.height / h;
      const [height, width] = [input.height * factor, input.width * factor];
      sum ??= { channels: result.channels, height, width, data: new Float32Array(result.channels * height * width) };
      if (weights.length === 0) weights = new Float32Array(height * width);
      const ramp = Math.max(1, Math.round(options.overlap * factor));
      const down = edges(result.height, ramp, top > 0, top + h < input.height);
      const across = edges(result.width, ramp, left > 0, left + w < input.width);
      lay(result, { top: top * factor, left: left * factor, down, across }, sum, weights);
    }
  if (sum === undefined) throw new RangeError("an empty picture has no tiles");
  const { data, channels, height, width } = sum;
  const size = height * width;
  for (let c = 0; c < channels; c++) for (let i = 0; i < size; i++) data[c * size + i] = data[c * size + i]! / weights[i]!;
  return sum;
}

interface Row {
  readonly starts: readonly number[];
  readonly size: number;
}

/**
 * Starts and sizes of the tiles, in the shape with the least work in all.
 * @throws RangeError where even a tile that is hardly larger than the overlap exceeds the area
 */
export function tilesOf(
  { height, width }: Pick<Plane, "height" | "width">,
  { area, overlap }: TileOptions,
): { readonly rows: Row; readonly columns: Row } {
  const down = splits(height, overlap);
  const work = ([rows, columns]: readonly [Split, Split]): number => rows.size * rows.count * columns.size * columns.count;
  const all = splits(width, overlap).flatMap((columns) => {
    const rows = down.find(({ size }) => size * columns.size <= area);
    return rows === undefined ? [] : [[rows, columns] as const];
  });
  if (all.length === 0) throw new RangeError(`tiles of ${area} are too small for an overlap of ${overlap}`);
  const [rows, columns] = all.reduce((best, each) => (work(each) < work(best) ? each : best));
  return { rows: spread(height, rows), columns: spread(width, columns) };
}

interface Split {
  readonly count: number;
  readonly size: number;
}

/** All ways to cover a length with tiles that overlap by at least `overlap`: from one tile to tiles that are hardly longer than the overlap. */
function splits(length: number, overlap: number): Split[] {
  const found: Split[] = [];
  for (let count = 1; ; count++) {
    const size = Math.ceil((length + (count - 1) * overlap) / count);
    if (count > 1 && size <= overlap + 1) return found; // more tiles would be no shorter
    found.push({ count, size });
  }
}

/** Spreads tiles evenly; the last one ends at the end. */
const spread = (length: number, { count, size }: Split): Row => ({
  size,
  starts: Array.from({ length: count }, (_, i) => (count === 1 ? 0 : Math.round((i * (length - size)) / (count - 1)))),
});

/** Weight of each row or column of a tile, with a ramp at edges that have a neighbour. */
function edges(length: number, ramp: number, before: boolean, after: boolean): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const rise = before ? Math.min(1, (i + 1) / (ramp + 1)) : 1;
    const fall = after ? Math.min(1, (length - i) / (ramp + 1)) : 1;
    return rise * fall;
  });
}

function cut({ channels, height, width, data }: Plane, top: number, left: number, h: number, w: number): Plane {
  const out = new Float32Array(channels * h * w);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < h; y++) {
      const from = (c * height + top + y) * width + left;
      out.set(data.subarray(from, from + w), (c * h + y) * w);
    }
  return { channels, height: h, width: w, data: out };
}

interface Place {
  readonly top: number;
  readonly left: number;
  readonly down: Float32Array;
  readonly across: Float32Array;
}

function lay(tile: Plane, { top, left, down, across }: Place, sum: Plane, weights: Float32Array): void {
  for (let y = 0; y < tile.height; y++)
    for (let x = 0; x < tile.width; x++) {
      const weight = down[y]! * across[x]!;
      const at = (top + y) * sum.width + left + x;
      weights[at] = weights[at]! + weight;
      for (let c = 0; c < tile.channels; c++) {
        const to = c * sum.height * sum.width + at;
        sum.data[to] = sum.data[to]! + weight * tile.data[(c * tile.height + y) * tile.width + x]!;
      }
    }
}
