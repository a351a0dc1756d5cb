/**
 * Cosine of two vectors of `FaceNetworks.embed` from which on they are taken for one person's: a distance of 0.58 of dlib's vectors at their usual
 * length of 1.45, where dlib itself takes 0.6. docs/faces.md shows how photos of people lie to it.
 */
export const SAME_PERSON = 0.92;

/** A vector divided by its length. @throws TypeError if it has none: the caller's fault, not the user's */
export function unitVector(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  if (!(length > 0)) throw new TypeError("a vector without a length has no direction");
  return vector.map((x) => x / length);
}
