import type { Random } from "./seeded-random.ts";

/** Standard normal numbers from a stream of uniform ones: Box and Muller 1958. */
export function gaussians(random: Pick<Random, "uniform">, count: number): Float32Array {
  const out = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - random.uniform()));
    const angle = 2 * Math.PI * random.uniform();
    out[i] = radius * Math.cos(angle);
    if (i + 1 < count) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}
