/** (I + Q)(I - Q)^-1 by elimination: of (I - Q)·R' = I + Q, since the two commute. */
export function cayley(skew: Float64Array, made: Float64Array, from: number, size: number, strength: number): void {
  const unit = (i: number, j: number): number => (i === j ? 1 : 0);
  const left = Float64Array.from({ length: size * size }, (_, at) => unit(Math.floor(at / size), at % size) - skew[from + at]!);
  const right = Float64Array.from({ length: size * size }, (_, at) => unit(Math.floor(at / size), at % size) + skew[from + at]!);
  for (let pivot = 0; pivot < size; pivot++) {
    // I - Q has a positive definite symmetric part, so no pivot vanishes
    const divisor = left[pivot * size + pivot]!;
    for (let j = 0; j < size; j++) {
      left[pivot * size + j]! /= divisor;
      right[pivot * size + j]! /= divisor;
    }
    for (let i = 0; i < size; i++) {
      const factor = left[i * size + pivot]!;
      if (i === pivot || factor === 0) continue;
      for (let j = 0; j < size; j++) {
        left[i * size + j]! -= factor * left[pivot * size + j]!;
        right[i * size + j]! -= factor * right[pivot * size + j]!;
      }
    }
  }
  for (let at = 0; at < size * size; at++)
    made[from + at] = strength * right[at]! + (1 - strength) * unit(Math.floor(at / size), at % size);
}
