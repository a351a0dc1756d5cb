/** The bytes of a safetensors file whose tensors hold small numbers, as textual inversions do. @param shapes by the tensors' names */
export function embeddingFile(shapes: Readonly<Record<string, readonly number[]>>): Buffer {
  const header: Record<string, object> = {};
  const parts: Buffer[] = [];
  let at = 0;
  for (const [name, shape] of Object.entries(shapes)) {
    const count = shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype: "F32", shape, data_offsets: [at, at + 4 * count] };
    at += 4 * count;
    parts.push(Buffer.from(Float32Array.from({ length: count }, (_, i) => Math.sin(i + shape.length)).buffer));
  }
  const text = JSON.stringify(header);
  const head = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  return Buffer.concat([length, head, ...parts]);
}
