/**
 * Adds rows, each times a factor. Four at a time, so that the sum is read and written a quarter as often.
 * @param sum [columns]
 * @param factors one for each row
 * @param rows [.., columns], of which those from `first` on are taken
 */
export function addRows(sum: Float64Array, factors: ArrayLike<number>, rows: Float32Array, first: number): void {
  const columns = sum.length;
  const count = factors.length;
  let k = 0;
  for (; k + 4 <= count; k += 4) {
    const [f0, f1, f2, f3] = [factors[k]!, factors[k + 1]!, factors[k + 2]!, factors[k + 3]!];
    const a = (first + k) * columns;
    const [b, c, d] = [a + columns, a + 2 * columns, a + 3 * columns];
    for (let j = 0; j < columns; j++) sum[j]! += f0 * rows[a + j]! + f1 * rows[b + j]! + f2 * rows[c + j]! + f3 * rows[d + j]!;
  }
  for (; k < count; k++) {
    const factor = factors[k]!;
    const from = (first + k) * columns;
    for (let j = 0; j < columns; j++) sum[j]! += factor * rows[from + j]!;
  }
}

/** a·b. @param a [rows, inner] @param b [inner, columns] @returns [rows, columns] */
export function product(a: Float32Array, b: Float32Array, rows: number, inner: number, columns: number): Float32Array {
  const made = new Float32Array(rows * columns);
  const row = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    row.fill(0);
    addRows(row, a.subarray(i * inner, (i + 1) * inner), b, 0);
    made.set(row, i * columns);
  }
  return made;
}

/** @param values [rows, columns] */
export function transposeMatrix(values: Float32Array, rows: number, columns: number): Float32Array {
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
