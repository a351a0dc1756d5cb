import type { FloatArray } from "../../core/array.ts";

/** A question of the sampler, of which the denoiser is asked. */
export interface Evaluation {
  /** Counted from 0. */
  readonly index: number;
  readonly timestep: number;
}

/** What one row of the denoiser's batch is told. */
export interface Told {
  /** Whose latents the row has, counted from 0 over all requests that are drawn side by side. */
  readonly picture: number;
  /** [tokens, width] */
  readonly context: FloatArray;
  /** [width] */
  readonly pooled: FloatArray;
  /** The six numbers of {@link timeIds}. */
  readonly timeIds: readonly number[];
}

/**
 * Which rows the denoiser is asked at an evaluation, and what their answers make together. One object serves one drawing. What a row is
 * told is the same object as before where it is the same.
 */
export interface Guidance {
  rows(at: Evaluation): readonly Told[];
  /**
   * @param answers [rows, channels, height, width], in the order of the rows
   * @returns [pictures, channels, height, width]
   */
  combine(answers: Float32Array, at: Evaluation): Float32Array;
  /** The same when nothing is to be guided any more, as after T-GATE's gate: as few rows as say what the pictures are of. */
  readonly unguided: Guidance;
  /**
   * What rows have in common, for each row of {@link unguided}: what T-GATE keeps of what layers said to them.
   * @param values of each row of this evaluation, all of one length
   */
  mean(values: readonly Float32Array[], at: Evaluation): readonly Float32Array[];
}

/** Whether two rows are told the same of the same picture. */
export const sameTold = (a: Told, b: Told): boolean =>
  a.picture === b.picture && a.context === b.context && a.pooled === b.pooled && a.timeIds === b.timeIds;

/**
 * The mean over the rows of each picture.
 * @param values of each row, all of one length
 * @returns one for each picture, in the order in which pictures first come
 */
export function meanByPicture(values: readonly Float32Array[], rows: readonly Pick<Told, "picture">[]): Float32Array[] {
  const ofPicture = new Map<number, Float32Array[]>();
  for (const [i, { picture }] of rows.entries()) ofPicture.set(picture, [...(ofPicture.get(picture) ?? []), values[i]!]);
  return [...ofPicture.values()].map(([first, ...others]) =>
    others.length === 0
      ? first!
      : first!.map((value, k) => others.reduce((sum, other) => sum + other[k]!, value) / (others.length + 1)),
  );
}
