/**
 * Cosine of two vectors of `FaceNetworks.embed` from which on they are taken for one person's. dlib's own limit, a distance of 0.6 before
 * vectors are given unit length, is a cosine of 0.914 at their usual length of 1.45; the photos of docs/faces.md fall apart at it.
 */
export const SAME_PERSON = 0.915;

/** A vector divided by its length. @throws TypeError if it has none: the caller's fault, not the user's */
export function unitVector(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  if (!(length > 0)) throw new TypeError("a vector without a length has no direction");
  return vector.map((x) => x / length);
}
