import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { type GgufTensor, makeGguf } from "../testing/made-gguf.ts";
import { memorySource } from "./byte-source.ts";
import { BLOCK_FORMATS } from "./gguf-blocks.ts";
import { openTensors, readSafetensorsFile } from "./open-tensors.node.ts";
import { readFloats, readRowMajor } from "./read-tensor.ts";
import { readTensorFile } from "./read-tensor-file.ts";
import { byteLength, sliceRows, storedAs } from "./tensor-entry.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gguf-"));
});
afterEach(() => rm(folder, { recursive: true }));

const bits = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

test("every format of numbers in blocks is decoded as gguf-py does, to the bit", async () => {
  const { format, tensors, metadata } = await openTensors(goldenPath("formats/blocks.gguf"));
  expect(format).toBe("gguf");
  expect(metadata["general.architecture"]).toBe("sdxl");
  const expected = await readSafetensorsFile(goldenPath("formats/blocks.safetensors"));
  expect([...tensors.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const { name } of BLOCK_FORMATS.values()) expect([...tensors.keys()]).toContain(name);
  for (const [name, { shape, values }] of expected) {
    const entry = tensors.get(name)!;
    expect(entry.shape, name).toEqual(shape);
    expect(bits(await readFloats(entry)), name).toEqual(bits(values as Float32Array));
  }
});

test("rows are decoded alone, also where they are no whole blocks", async () => {
  const { tensors } = await openTensors(goldenPath("formats/blocks.gguf"));
  for (const name of ["Q4_K", "Q8_0", "flattened"]) {
    const entry = tensors.get(name)!;
    const all = await readFloats(entry);
    const rows = entry.shape[0]!;
    const row = all.length / rows;
    for (let i = 0; i < rows; i++)
      expect(await readFloats(sliceRows(entry, i, i + 1))).toEqual(all.slice(i * row, (i + 1) * row));
    const twice = sliceRows(sliceRows(entry, 1, rows), 1, rows - 1);
    expect(await readFloats(twice)).toEqual(all.slice(2 * row, rows * row));
    const { source } = sliceRows(entry, 1, 2);
    const read = source.kind === "computed" ? source.of.reduce((sum, part) => sum + byteLength(part), 0) : Number.NaN;
    expect(read, "bytes read for one row").toBeLessThan(storedAs(entry).bytes / 2);
  }
});

test("a tensor that is used transposed is decoded first", async () => {
  const { tensors } = await openTensors(goldenPath("formats/blocks.gguf"));
  const entry = tensors.get("Q4_0")!;
  const [rows, columns] = entry.shape as [number, number];
  const all = await readFloats(entry);
  const turned = await readFloats({ ...entry, shape: [columns, rows], transposed: true });
  expect(turned[1 * rows + 2]).toBe(all[2 * columns + 1]);
});

test("what is read says how it is stored", async () => {
  const { tensors } = await openTensors(goldenPath("formats/blocks.gguf"));
  expect(storedAs(tensors.get("Q4_K")!)).toEqual({ format: "Q4_K", bytes: 6 * 144 });
  expect(storedAs(tensors.get("BF16")!)).toEqual({ format: "BF16", bytes: 2 * 4 * 8 * 9 });
});

const floats = (count: number): Uint8Array => new Uint8Array(Float32Array.from({ length: count }, (_, i) => i + 1).buffer);
const plain: GgufTensor = { name: "x", type: 0, shape: [2, 3], data: floats(6) };

test("version 2, other alignments, metadata of every kind, tensors without numbers and projections as convolutions", async () => {
  const bytes = makeGguf(
    [
      plain,
      { name: "ztsnr", type: 0, shape: [0], data: new Uint8Array() },
      { name: "m.proj_in.weight", type: 0, shape: [2, 3, 1, 1], data: floats(6) },
      { name: "first_stage_model.q.weight", type: 0, shape: [2, 3, 1, 1], data: floats(6) },
    ],
    {
      version: 2,
      alignment: 64,
      values: {
        "general.alignment": 64,
        "general.name": "für Bilder",
        "a.half": 0.5,
        "a.true": true,
        "a.list": [1, 2, -3],
        "a.texts": Array.from({ length: 30_000 }, (_, i) => `token ${i}`),
      },
    },
  );
  expect(bytes.length).toBeGreaterThan(2 ** 18); // the header is read in more than one go
  const { tensors, metadata } = await readTensorFile(memorySource("a page's file", bytes));
  expect(metadata).toEqual({
    "general.alignment": "64",
    "general.name": "für Bilder",
    "a.half": "0.5",
    "a.true": "true",
    "a.list": "1, 2, -3",
    "a.texts": "30000 values",
  });
  expect([...(await readFloats(tensors.get("x")!))]).toEqual([1, 2, 3, 4, 5, 6]);
  expect(tensors.get("ztsnr")!.shape).toEqual([0]);
  expect(tensors.get("m.proj_in.weight")!.shape).toEqual([2, 3]);
  expect(tensors.get("first_stage_model.q.weight")!.shape).toEqual([2, 3, 1, 1]);
});

const q8: GgufTensor = { name: "x", type: 8, shape: [2, 32], data: new Uint8Array(68) };
test.each<[string, string, Uint8Array, RegExp]>([
  ["a format of blocks that is not read", "weights/number-format", makeGguf([{ ...q8, type: 16 }]), /IQ2_XXS/],
  ["a format that nobody knows", "weights/number-format", makeGguf([{ ...q8, type: 99 }]), /format number 99/],
  ["integers that nothing scales", "weights/number-format", makeGguf([{ ...q8, name: "a.weight", type: 24 }]), /I8/],
  ["a file cut in its header", "gguf/truncated", makeGguf([plain]).subarray(0, 60), /in its header/],
  ["a file cut in its data", "gguf/truncated", makeGguf([plain]).subarray(0, 100), /"x" lies at 96 to 120/],
  ["a place beyond the end", "gguf/truncated", makeGguf([{ ...plain, offset: 2 ** 40 }]), /"x" lies at/],
  ["a place between", "gguf/damaged", makeGguf([{ ...plain, offset: 4 }]), /no multiple of 32/],
  ["two tensors in one place", "gguf/damaged", makeGguf([plain, { ...plain, name: "y", offset: 0 }]), /overlaps/],
  ["a name given twice", "gguf/damaged", makeGguf([plain, plain]), /"x" occurs twice/],
  ["rows of no whole blocks", "gguf/damaged", makeGguf([{ ...q8, shape: [4, 16] }]), /no whole blocks of 32/],
  ["sizes whose product overflows", "gguf/damaged", makeGguf([{ ...plain, shape: [2 ** 40, 2 ** 40] }]), /has the shape/],
  ["a size beyond all numbers", "gguf/damaged", makeGguf([{ ...plain, shape: [2n ** 63n] }]), /a size of "x" is/],
  ["a crowd of tensors", "gguf/damaged", makeGguf([plain], { claim: { tensors: 2n ** 40n } }), /claims/],
  ["a crowd of metadata", "gguf/damaged", makeGguf([plain], { claim: { values: 2n ** 40n } }), /claims/],
  ["too many dimensions", "gguf/damaged", makeGguf([{ ...plain, shape: [1, 1, 1, 1, 1, 1, 1, 2, 3] }]), /9 dimensions/],
  ["an alignment of 3", "gguf/damaged", makeGguf([plain], { values: { "general.alignment": 3 } }), /alignment is 3/],
  [
    "an original shape of another size",
    "gguf/damaged",
    makeGguf([plain], { values: { "comfy.gguf.orig_shape.x": [2, 4] } }),
    /original shape \[2,4\]/,
  ],
  [
    "an original shape that is a text",
    "gguf/damaged",
    makeGguf([plain], { values: { "comfy.gguf.orig_shape.x": "2, 3" } }),
    /original shape/,
  ],
  ["version 1", "gguf/version", makeGguf([plain], { version: 1 }), /version 1/],
  ["version 4", "gguf/version", makeGguf([plain], { version: 4 }), /version 4/],
  ["the other order of bytes", "gguf/big-endian", makeGguf([plain], { version: 0x03000000 }), /order of bytes/],
  ["a part of a file", "gguf/split", makeGguf([plain], { values: { "split.count": 3 } }), /one of 3 parts/],
  ["no magic", "gguf/magic", Buffer.concat([Buffer.from("GGXX"), makeGguf([plain]).subarray(4)]), /does not begin/],
  ["a file of before GGUF", "gguf/magic", Buffer.from("tjgg\x03\0\0\0\0\0\0\0"), /before GGUF/],
])("refuses %s: %s", async (_, code, bytes, says) => {
  const path = join(folder, "model.gguf");
  await writeFile(path, bytes);
  await expect(openTensors(path)).rejects.toMatchObject({ name: "UserError", code, message: expect.stringMatching(says) });
});

test("the name of a GGUF file does not matter", async () => {
  const path = join(folder, "model.safetensors");
  await writeFile(path, await readFile(goldenPath("formats/blocks.gguf")));
  expect((await openTensors(path)).format).toBe("gguf");
  expect((await readRowMajor((await openTensors(path)).tensors.get("Q8_0")!)).length).toBe(4 * 3 * 512);
});
