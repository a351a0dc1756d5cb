import { expect, test } from "vitest";
import { memorySource } from "./byte-source.ts";
import { readBytes, readFloats, readManyFloats } from "./read-tensor.ts";
import { readTensorFile } from "./read-tensor-file.ts";
import { sliceRows } from "./tensor-entry.ts";

/** A safetensors file of `a` [2, 3] in float32 and `b` [2] in float16, as a browser has it: in memory. */
function inMemory() {
  const header = {
    a: { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] },
    b: { dtype: "F16", shape: [2], data_offsets: [24, 28] },
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + 28);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  const data = 8 + text.length;
  for (let i = 0; i < 6; i++) view.setFloat32(data + 4 * i, i + 0.5, true);
  view.setUint16(data + 24, 0x3c00, true); // 1
  view.setUint16(data + 26, 0xc000, true); // -2
  return memorySource("weights of a page", bytes);
}

test("weights are read from a source that is no file", async () => {
  const { format, path, tensors } = await readTensorFile(inMemory());
  expect([format, path]).toEqual(["safetensors", "weights of a page"]);
  const [a, b] = [tensors.get("a")!, tensors.get("b")!];
  expect([...(await readFloats(a))]).toEqual([0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
  expect([...(await readFloats(sliceRows(a, 1, 2)))]).toEqual([3.5, 4.5, 5.5]);
  expect((await readManyFloats([b, a])).map((values) => values.length)).toEqual([2, 6]);
  expect([...(await readFloats(b))]).toEqual([1, -2]);
});

test("what is read may be written to, and the source stays as it is", async () => {
  const { tensors } = await readTensorFile(inMemory());
  (await readBytes(tensors.get("b")!)).fill(0);
  expect([...(await readFloats(tensors.get("b")!))]).toEqual([1, -2]);
});

test("a source that ends too early is named: file/truncated", async () => {
  await expect(memorySource("half a page", new Uint8Array(10)).read(4, 8)).rejects.toMatchObject({
    code: "file/truncated",
    message: expect.stringContaining("half a page ends after 10 bytes; bytes 4 to 12"),
  });
});
