/** A stream of random choices that depends on a key alone, the same on every platform. */
export interface Random {
  /** Uniform in [low, high). */
  uniform(low?: number, high?: number): number;
  /** Nearly normal, never beyond three deviations: a sum of uniform numbers (Irwin and Hall). */
  bell(deviation: number): number;
  chance(probability: number): boolean;
  /** An integer in [0, count). */
  integer(count: number): number;
  pick<T>(list: readonly T[]): T;
  /** One of the names, with probabilities in proportion to the weights. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name;
  shuffle<T>(list: readonly T[]): T[];
}

/**
 * Opens the stream of a key. A key is a list of integers such as (seed, person, picture), and each has a stream of its own.
 * The generator is sfc32 (Doty-Humphrey, PractRand); the key is mixed into its state by the finaliser of MurmurHash3.
 */
export function seededRandom(...key: readonly number[]): Random {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, key.length | 0];
  const word = () => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (const part of key) {
    if (!Number.isSafeInteger(part)) throw new TypeError(`${part} is not a whole number, and cannot be part of a key.`);
    a ^= murmurMix(part | 0);
    b ^= murmurMix(Math.floor(part / 2 ** 32) + 0x51ed270b);
    for (let i = 0; i < 12; i++) word();
  }
  const uniform = (low = 0, high = 1) => low + (high - low) * (word() / 2 ** 32);
  const integer = (count: number) => Math.floor(uniform() * count);
  return {
    uniform,
    integer,
    bell: (deviation) => (uniform(-1) + uniform(-1) + uniform(-1)) * deviation, // the sum of three has deviation 1
    chance: (probability) => uniform() < probability,
    pick: (list) => list[integer(list.length)]!,
    weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
      const names = Object.keys(weights) as Name[];
      let left = uniform() * names.reduce((sum, name) => sum + weights[name], 0);
      for (const name of names) {
        left -= weights[name];
        if (left < 0) return name;
      }
      return names.findLast((name) => weights[name] > 0)!; // rounding may leave a little
    },
    shuffle(list) {
      const out = [...list];
      for (let i = out.length - 1; i > 0; i--) {
        const j = integer(i + 1);
        [out[i], out[j]] = [out[j]!, out[i]!];
      }
      return out;
    },
  };
}

function murmurMix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}
