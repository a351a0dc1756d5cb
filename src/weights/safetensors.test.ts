import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { withFile } from "./file-access.node.ts";
import { readSafetensorsFile } from "./open-tensors.node.ts";
import { readFloats } from "./read-tensor.ts";
import { parseSafetensors } from "./safetensors-read.ts";
import { copyTensor, type TensorToWrite, writeSafetensors } from "./safetensors-write.node.ts";
import type { StoredDType } from "./tensor-entry.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-"));
});
afterEach(() => rm(folder, { recursive: true }));

const open = (path: string) => withFile(path, parseSafetensors);

test("every element type reads as PyTorch wrote it", async () => {
  const expected = JSON.parse(await readFile(goldenPath("formats/expected.json"), "utf8"))["dtypes.safetensors"];
  const read = await readSafetensorsFile(goldenPath("formats/dtypes.safetensors"));
  expect([...read.keys()].sort()).toEqual(Object.keys(expected).sort());
  for (const [name, { shape, values }] of Object.entries<{ shape: number[]; values: (number | string)[] }>(expected)) {
    expect(read.get(name)!.shape).toEqual(shape);
    expect([...read.get(name)!.values].map(Number), name).toEqual(values.map(Number));
  }
  expect(read.get("i64")!.values).toEqual(BigInt64Array.of(-9007199254740992n, 7n, 0n, 1099511627776n));
});

test("eight-bit floats", async () => {
  const entry = (dtype: StoredDType, ...bytes: number[]) =>
    readFloats({ name: "x", dtype, shape: [bytes.length], source: { kind: "bytes", bytes: Uint8Array.from(bytes) } });
  expect([...(await entry("F8_E4M3", 0x38, 0xc0, 0x7e, 0x01, 0x7f))]).toEqual([1, -2, 448, 2 ** -9, Number.NaN]);
  expect([...(await entry("F8_E5M2", 0x3c, 0xc0, 0x7b, 0x01, 0x7c))]).toEqual([1, -2, 57344, 2 ** -16, Number.POSITIVE_INFINITY]);
});

test("a written file reads as what was written", async () => {
  const path = join(folder, "a.safetensors");
  const names = fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      names,
      fc.array(fc.nat(4), { maxLength: 3 }),
      fc.dictionary(fc.string(), fc.string()),
      async (all, shape, meta) => {
        const tensors = all
          .filter((name) => name !== "__metadata__")
          .map((name, i): TensorToWrite => {
            const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, j) => i + j / 3);
            return { name, dtype: "F32", shape, data: i % 2 === 0 ? values : async () => values };
          });
        await writeSafetensors(path, tensors, meta);
        const file = await open(path);
        expect(file.metadata).toEqual(meta);
        expect([...file.tensors.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
        for (const { name, data } of tensors)
          expect(await readFloats(file.tensors.get(name)!)).toEqual(typeof data === "function" ? await data() : data);
      },
    ),
    { numRuns: 40 },
  );
});

test("a copied file has the same bytes, and the same content always gives the same file", async () => {
  const source = await open(goldenPath("formats/dtypes.safetensors"));
  const entries = [...source.tensors.values()];
  await writeSafetensors(join(folder, "a"), entries.map(copyTensor));
  await writeSafetensors(join(folder, "b"), entries.reverse().map(copyTensor));
  expect(await readFile(join(folder, "a"))).toEqual(await readFile(join(folder, "b")));
  expect(await readSafetensorsFile(join(folder, "a"))).toEqual(await readSafetensorsFile(source.path));
});

test("bytes may come in pieces; a wrong number of them leaves no file", async () => {
  const pieces = async function* (count: number) {
    for (let i = 0; i < count; i++) yield Float32Array.of(i, i);
  };
  const path = join(folder, "a.safetensors");
  await writeSafetensors(path, [{ name: "x", dtype: "F32", shape: [3, 2], data: () => pieces(3) }]);
  expect([...(await readSafetensorsFile(path)).get("x")!.values]).toEqual([0, 0, 1, 1, 2, 2]);
  for (const count of [2, 4])
    await expect(
      writeSafetensors(join(folder, "b"), [{ name: "x", dtype: "F32", shape: [3, 2], data: () => pieces(count) }]),
    ).rejects.toThrow("takes 24 bytes");
  expect(await readdir(folder)).toEqual(["a.safetensors"]);
});

const x = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
test.each<[string, string, unknown, number, number?]>([
  ["an empty file", "truncated", undefined, 0],
  ["a header larger than the file", "header-too-large", { x }, 8, 5000],
  ["a header beyond all bounds", "header-too-large", { x }, 8, 2 ** 40],
  ["a header that is not JSON", "not-json", '{"x": ', 8],
  ["a header that is a list", "not-json", [], 0],
  ["an unknown element type", "dtype", { x: { ...x, dtype: "F31" } }, 8],
  ["an element type named like a property of Object.prototype", "dtype", { x: { ...x, dtype: "toString" } }, 8],
  ["a negative size", "entry", { x: { ...x, shape: [-2] } }, 8],
  ["no offsets", "entry", { x: { ...x, data_offsets: undefined } }, 8],
  ["a tensor that is a string", "entry", { x: "y" }, 8],
  ["data cut short", "offsets", { x }, 4],
  ["an end before its start", "offsets", { x: { ...x, data_offsets: [8, 0] } }, 8],
  ["a shape that needs other bytes", "length", { x: { ...x, shape: [3] } }, 8],
  ["sizes whose product overflows", "length", { x: { ...x, shape: [2 ** 40, 2 ** 40] } }, 8],
  ["overlapping tensors", "overlap", { x, y: { ...x, data_offsets: [4, 12] } }, 12],
  ["two tensors at the same offset", "overlap", { x, y: x }, 8],
  ["a hole", "hole", { x, y: { ...x, data_offsets: [12, 20] } }, 20],
  ["bytes after the end", "trailing-bytes", { x }, 9],
  ["a name given twice", "duplicate-name", `{"x": ${JSON.stringify(x)}, "\\u0078": ${JSON.stringify(x)}}`, 8],
  ["metadata that is not text", "metadata", { __metadata__: { a: 1 }, x }, 8],
])("refuses %s: safetensors/%s", async (_, code, header, dataBytes, claimed) => {
  const path = join(folder, "bad.safetensors");
  const text = typeof header === "string" ? header : (JSON.stringify(header) ?? "");
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(claimed ?? text.length));
  await writeFile(path, header === undefined ? "" : Buffer.concat([length, Buffer.from(text), Buffer.alloc(dataBytes)]));
  await expect(open(path)).rejects.toMatchObject({ name: "UserError", code: `safetensors/${code}` });
});

test("a file cut after it was opened is noticed when its tensor is read", async () => {
  const path = join(folder, "a.safetensors");
  await writeSafetensors(path, [{ name: "x", dtype: "F32", shape: [100], data: new Float32Array(100) }]);
  const entry = (await open(path)).tensors.get("x")!;
  await writeFile(path, (await readFile(path)).subarray(0, 200));
  await expect(readFloats(entry)).rejects.toMatchObject({ code: "file/truncated" });
});
