import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { makePickle, makeTorchZip, makeZip, pickledTensor } from "../testing/made-files.ts";
import { openTensors } from "./open-tensors.node.ts";
import { readBytes, readFloats, readValues } from "./read-tensor.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "torch-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function openMade(bytes: Uint8Array, name = "a.bin") {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return openTensors(path);
}

test("views, strides, shared storages and nested values read as PyTorch shows them", async () => {
  const { state_dict: expected } = JSON.parse(await readFile(goldenPath("formats/expected.json"), "utf8"))["views.bin"];
  const file = await openTensors(goldenPath("formats/views.bin"));
  expect([...file.tensors.keys()]).toEqual(Object.keys(expected).map((name) => `state_dict.${name}`));
  for (const [name, { shape, values }] of Object.entries<{ shape: number[]; values: number[] }>(expected)) {
    const entry = file.tensors.get(`state_dict.${name}`)!;
    expect(entry.shape).toEqual(shape);
    expect([...(await readValues(entry)).values].map(Number), name).toEqual(values);
  }
  expect(file.metadata).toEqual({
    step: "7",
    lr: "0.0001",
    name: "x",
    "flags.0": "true",
    "list.0": "1",
    "list.1": "2.5",
    "list.2": "a",
  });
});

test("contiguous tensors are used in place, transposed ones too", async () => {
  const { tensors } = await openTensors(goldenPath("formats/views.bin"));
  const [base, t, col] = ["base", "t", "col"].map((name) => tensors.get(`state_dict.${name}`)!);
  expect(base!.source.kind).toBe("file");
  expect(t).toMatchObject({ source: base!.source, transposed: true });
  expect(col!.source.kind).toBe("bytes");
});

test("files from before torch 1.6 are read", async () => {
  const { tensors, format } = await openTensors(goldenPath("formats/legacy.pt"));
  expect(format).toBe("torch-legacy");
  expect([...(await readFloats(tensors.get("a")!))]).toEqual(Array.from({ length: 24 }, (_, i) => i));
  expect(tensors.get("b")!.shape).toEqual([2, 6]);
  expect([...(await readFloats(tensors.get("b")!))]).toEqual(Array.from({ length: 12 }, (_, i) => 12 + i));
  const bytes = await readFile(goldenPath("formats/legacy.pt"));
  await expect(openMade(bytes.subarray(0, -4))).rejects.toMatchObject({ code: "torch/storage-size" });
});

test("the adapter's .bin and .safetensors hold the same", async () => {
  const [bin, safe] = await Promise.all(
    ["bin", "safetensors"].map((end) => openTensors(goldenPath(`tiny-photomaker-v1.${end}`))),
  );
  expect([...bin!.tensors.keys()].sort()).toEqual([...safe!.tensors.keys()].sort());
  for (const [name, entry] of bin!.tensors) {
    const other = safe!.tensors.get(name)!;
    expect([entry.dtype, entry.shape]).toEqual([other.dtype, other.shape]);
    expect(Buffer.compare(await readBytes(entry), await readBytes(other)), name).toBe(0);
  }
});

const floats = new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);
const dict = (...value: Parameters<typeof makePickle>) => makePickle("\x80\x02}(", { text: "x" }, ...value, "u.");

test("compressed members are unpacked", async () => {
  const file = await openMade(makeTorchZip(dict(...pickledTensor("0", 6, [2, 3], [3, 1])), { 0: floats }, true));
  expect([...(await readFloats(file.tensors.get("x")!))]).toEqual([0, 1, 2, 3, 4, 5]);
});

test("any strides are followed", async () => {
  const expanded = await openMade(makeTorchZip(dict(...pickledTensor("0", 6, [2, 2, 2], [0, 1, 3], 1)), { 0: floats }));
  expect([...(await readFloats(expanded.tensors.get("x")!))]).toEqual([1, 4, 2, 5, 1, 4, 2, 5]);
});

test("a pickle that calls os.system is refused by name and never runs", async () => {
  const proof = join(folder, "it-ran");
  const call = ["cposix\nsystem\n(", { text: `touch ${proof}` }, "tR"];
  const reading = openMade(makeTorchZip(dict(...call), {}));
  await expect(reading).rejects.toMatchObject({ code: "pickle/refused", message: expect.stringContaining("posix.system") });
  const legacy = Buffer.concat([
    (await readFile(goldenPath("formats/legacy.pt"))).subarray(0, 21),
    makePickle("}."),
    dict(...call),
  ]);
  await expect(openMade(legacy)).rejects.toMatchObject({ code: "pickle/refused" });
  expect(existsSync(proof)).toBe(false);
});

const tensor = (...args: Parameters<typeof pickledTensor>) => dict(...pickledTensor(...args));
const endless = makePickle("}q\x00(", { text: "x" }, "h\x00u.");
const doubling = makePickle(
  "]q\x00",
  ..."abcdefghijklmnopqrstuvwxyz".split("").flatMap((_, i) => ["](", "h", i, "h", i, "eq", i + 1]),
  ".",
);

test.each<[string, string, Uint8Array]>([
  ["a storage that is missing", "torch/missing-storage", makeTorchZip(tensor("1", 6, [6], [1]), { 0: floats })],
  ["a storage that is too short", "torch/storage-size", makeTorchZip(tensor("0", 7, [7], [1]), { 0: floats })],
  ["a tensor beyond its storage", "torch/corrupt", makeTorchZip(tensor("0", 6, [6], [1], 1), { 0: floats })],
  ["strides beyond the storage", "torch/corrupt", makeTorchZip(tensor("0", 6, [2, 3], [4, 1]), { 0: floats })],
  ["a negative size", "torch/corrupt", makeTorchZip(tensor("0", 6, [-1], [1]), { 0: floats })],
  ["negative strides", "torch/corrupt", makeTorchZip(tensor("0", 6, [2], [-1], 3), { 0: floats })],
  [
    "a small storage expanded to a huge tensor",
    "torch/too-large",
    makeTorchZip(tensor("0", 6, [2 ** 30, 6], [0, 1]), { 0: floats }),
  ],
  ["complex numbers", "pickle/refused", makeTorchZip(tensor("0", 3, [3], [1], 0, "ComplexFloatStorage"), { 0: floats })],
  ["a dictionary that contains itself", "torch/too-large", makeTorchZip(endless, {})],
  ["lists that double", "torch/too-large", makeTorchZip(doubling, {})],
  [
    "two tensors of one name",
    "torch/duplicate-name",
    makeTorchZip(
      makePickle(
        "\x80\x02}(",
        { text: "a.b" },
        ...pickledTensor("0", 6, [6], [1]),
        { text: "a" },
        "}(",
        { text: "b" },
        ...pickledTensor("0", 6, [6], [1]),
        "uu.",
      ),
      { 0: floats },
    ),
  ],
  ["a zip of something else", "torch/not-torch", makeZip([{ name: "a.txt", data: Buffer.from("a") }])],
  [
    "a big-endian file",
    "torch/byte-order",
    makeZip([
      { name: "a/data.pkl", data: makePickle("}.") },
      { name: "a/byteorder", data: Buffer.from("big") },
    ]),
  ],
  [
    "a TorchScript program",
    "torch/script",
    makeZip([
      { name: "a/data.pkl", data: makePickle("}.") },
      { name: "a/constants.pkl", data: makePickle(").") },
    ]),
  ],
  ["a cut file", "zip/truncated", makeTorchZip(tensor("0", 6, [6], [1]), { 0: floats }).subarray(0, -30)],
  ["an empty file", "weights/empty", new Uint8Array()],
  ["a git-lfs pointer", "weights/lfs-pointer", Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:00")],
  ["a web page", "weights/web-page", Buffer.from("<!DOCTYPE html><html>")],
  ["a GGUF file that ends in its header", "gguf/truncated", Buffer.from("GGUF\x03\0\0\0")],
  ["a bare pickle", "weights/unknown-format", makePickle("\x80\x02}.")],
  ["a text", "weights/unknown-format", Buffer.from("hello there, nothing to see")],
])("refuses %s: %s", async (_, code, bytes) => {
  await expect(openMade(bytes)).rejects.toMatchObject({ name: "UserError", code });
});

test("the name of a file does not matter, but says what was expected", async () => {
  const torch = makeTorchZip(tensor("0", 6, [6], [1]), { 0: floats });
  expect((await openMade(torch, "a.safetensors")).format).toBe("torch-zip");
  await expect(openMade(Buffer.from("hello there"), "a.safetensors")).rejects.toMatchObject({
    code: "safetensors/header-too-large",
  });
  await expect(openTensors(join(folder, "none.bin"))).rejects.toMatchObject({ code: "file/missing" });
  await expect(openTensors(folder)).rejects.toMatchObject({ code: "file/is-folder" });
});
