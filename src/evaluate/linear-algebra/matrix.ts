/** A matrix in float64, row-major. */
export interface Matrix64 {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

/** @throws TypeError if the values do not fill it */
export function matrix(rows: number, columns: number, values: ArrayLike<number> = new Float64Array(rows * columns)): Matrix64 {
  if (values.length !== rows * columns) throw new TypeError(`${values.length} values do not fill ${rows} x ${columns}`);
  return { rows, columns, data: values instanceof Float64Array ? values : Float64Array.from(values) };
}

export function transposeOf({ rows, columns, data }: Matrix64): Matrix64 {
  const out = matrix(columns, rows);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out.data[j * rows + i] = data[i * columns + j]!;
  return out;
}

/** Mean of the rows: [columns]. */
export function meanRow({ rows, columns, data }: Matrix64): Float64Array {
  const mean = new Float64Array(columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) mean[j] = mean[j]! + data[i * columns + j]! / rows;
  return mean;
}

/** Rows less a row, times a factor. */
export function centred({ rows, columns, data }: Matrix64, mean: ArrayLike<number>, factor = 1): Matrix64 {
  const out = matrix(rows, columns);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) out.data[i * columns + j] = (data[i * columns + j]! - mean[j]!) * factor;
  return out;
}

/** Rows of length 1. */
export function rowsOfLengthOne({ rows, columns, data }: Matrix64): Matrix64 {
  const out = matrix(rows, columns);
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += data[i * columns + j]! ** 2;
    const length = Math.sqrt(sum);
    for (let j = 0; j < columns; j++) out.data[i * columns + j] = data[i * columns + j]! / length;
  }
  return out;
}
