/** Numbers with a shape, row-major: input and output of models. */
export type NdArray =
  | { readonly dtype: "f32"; readonly dims: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: "i64"; readonly dims: readonly number[]; readonly data: BigInt64Array };

export type FloatArray = Extract<NdArray, { dtype: "f32" }>;

const checked = (dims: readonly number[], length: number): void => {
  if (dims.reduce((a, b) => a * b, 1) !== length) throw new TypeError(`${length} values do not fill [${dims.join(", ")}]`);
};

export function floats(data: Float32Array, ...dims: number[]): FloatArray {
  checked(dims, data.length);
  return { dtype: "f32", dims, data };
}

/** Vectors of one length as rows [vectors, length]; undefined if there are none. */
export function rowsTogether(rows: readonly Float32Array[]): FloatArray | undefined {
  const width = rows[0]?.length;
  if (width === undefined) return undefined;
  const data = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) data.set(row, i * width);
  return floats(data, rows.length, width);
}

export function integers(values: readonly number[], ...dims: number[]): NdArray {
  checked(dims, values.length);
  return { dtype: "i64", dims, data: BigInt64Array.from(values, (v) => BigInt(v)) };
}
