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

export function integers(values: readonly number[], ...dims: number[]): NdArray {
  checked(dims, values.length);
  return { dtype: "i64", dims, data: BigInt64Array.from(values, (v) => BigInt(v)) };
}
