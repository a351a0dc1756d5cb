import { type FloatArray, floats } from "../core/array.ts";
import { gaussians } from "../core/random/gaussians.ts";
import { seededRandom } from "../core/random/seeded-random.ts";

/** Normal random numbers: the same for the same seed. */
export const randomArray = (seed: number, ...dims: number[]): FloatArray =>
  floats(
    gaussians(
      seededRandom(seed),
      dims.reduce((a, b) => a * b),
    ),
    ...dims,
  );
