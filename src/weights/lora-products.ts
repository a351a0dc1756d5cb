/** a·b. @param a [rows, inner] @param b [inner, columns] @returns [rows, columns] */
export function product(a: Float32Array, b: Float32Array, rows: number, inner: number, columns: number): Float32Array {
  const made = new Float32Array(rows * columns);
  const row = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    row.fill(0);
    for (let k = 0; k < inner; k++) {
      const factor = a[i * inner + k]!;
      const from = k * columns;
      if (factor !== 0) for (let j = 0; j < columns; j++) row[j]! += factor * b[from + j]!;
    }
    made.set(row, i * columns);
  }
  return made;
}

/** @param values [rows, columns] */
export function transposedMatrix(values: Float32Array, rows: number, columns: number): Float32Array {
  const made = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) made[j * rows + i] = values[i * columns + j]!;
  return made;
}

/**
 * The weight of a convolution in Tucker form: dW[o, i, k] = sum over a, b of outer[o, a]·core[a, b, k]·inner[b, i].
 * @param sizes rows of outer, a, b, columns of inner, places of the kernel
 * @returns [rows, columns, places]
 */
export function tucker(
  outer: Float32Array,
  core: Float32Array,
  inner: Float32Array,
  [rows, a, b, columns, places]: readonly [number, number, number, number, number],
): Float32Array {
  const middle = new Float32Array(a * columns * places);
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++)
      for (let c = 0; c < columns; c++) {
        const factor = inner[j * columns + c]!;
        for (let k = 0; k < places; k++) middle[(i * columns + c) * places + k]! += factor * core[(i * b + j) * places + k]!;
      }
  return product(outer, middle, rows, a, columns * places);
}
