import { centred, type Matrix64, matrix, meanRow, transposeOf } from "../linear-algebra/matrix.ts";
import { gram, timesTransposed } from "../linear-algebra/product.ts";
import { semidefiniteFactor } from "../linear-algebra/semidefinite-factor.ts";
import { singularValues } from "../linear-algebra/singular-values.ts";

/** A normal distribution of features: mean, and a factor F of its covariance FᵀF. */
export interface FeatureGaussian {
  readonly mean: Float64Array;
  /** [rank or more, features] */
  readonly factor: Matrix64;
}

/**
 * The normal distribution with the mean and covariance (over N - 1) of samples.
 * @param samples [N, features], N at least 2
 * @throws RangeError for fewer than two samples, or a feature that is not finite
 */
export function gaussianOfSamples(samples: Matrix64): FeatureGaussian {
  const { rows, columns, data } = samples;
  if (rows < 2) throw new RangeError(`${rows} samples have no covariance`);
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new RangeError(`feature ${bad % columns} of sample ${Math.floor(bad / columns)} is ${data[bad]}`);
  const mean = meanRow(samples);
  const apart = centred(samples, mean, 1 / Math.sqrt(rows - 1));
  // few samples are a factor themselves; many are replaced by the smaller factor of their covariance
  return { mean, factor: rows <= columns ? apart : semidefiniteFactor(gram(transposeOf(apart))) };
}

/**
 * The normal distribution with a mean and a covariance, as published statistics give them.
 * @param covariance [features, features], symmetric; may be singular
 * @throws RangeError if it is not square, or not a covariance
 */
export function gaussianOfMoments(mean: ArrayLike<number>, covariance: Matrix64): FeatureGaussian {
  if (covariance.rows !== mean.length || covariance.columns !== mean.length)
    throw new RangeError(`a mean of ${mean.length} features and a covariance of ${covariance.rows} x ${covariance.columns}`);
  return { mean: Float64Array.from(mean), factor: semidefiniteFactor(covariance) };
}

/**
 * Fréchet distance of two normal distributions, |m - n|² + tr(C + D - 2 (C D)^½): Dowson and Landau 1982 (Journal of Multivariate Analysis 12); of
 * Inception's features it is FID, Heusel et al. 2017 (arXiv 1706.08500). No matrix root is needed: with C = FᵀF and D = GᵀG the trace of the root is the
 * sum of the singular values of F Gᵀ, exact for singular covariances too. Never below 0.
 *
 * From few samples it is too large, and FIDs are compared for equal numbers of pictures only.
 */
export function frechetDistance(a: FeatureGaussian, b: FeatureGaussian): number {
  if (a.mean.length !== b.mean.length) throw new TypeError(`${a.mean.length} and ${b.mean.length} features`);
  let distance = squares(a.factor.data) + squares(b.factor.data);
  for (const [i, m] of a.mean.entries()) distance += (m - b.mean[i]!) ** 2;
  for (const value of singularValues(timesTransposed(a.factor, b.factor))) distance -= 2 * value;
  return Math.max(0, distance);
}

/** Distance of two sets of features, [N, features] each. */
export const frechetOfSamples = (a: Matrix64, b: Matrix64): number => frechetDistance(gaussianOfSamples(a), gaussianOfSamples(b));

/** Matrix64 of features as networks give them. */
export const featureMatrix = (features: readonly Float32Array[]): Matrix64 => {
  const width = features[0]?.length ?? 0;
  const out = matrix(features.length, width);
  for (const [i, row] of features.entries()) {
    if (row.length !== width) throw new TypeError(`features of ${width} and of ${row.length} numbers`);
    out.data.set(row, i * width);
  }
  return out;
};

const squares = (values: Float64Array): number => values.reduce((sum, value) => sum + value * value, 0);
