import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { embeddingFile } from "../testing/embedding-file.ts";
import { goldenPath } from "../testing/golden.ts";
import { makePickle, makeTorchZip, pickledTensor } from "../testing/made-files.ts";
import { describe } from "./describe.node.ts";
import { openEmbeddings } from "./open-embeddings.node.ts";

const widths = [16, 24] as const;
const code = (wanted: string) => expect.objectContaining({ code: wanted });
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "embeddings-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function made(path: string, shapes: Readonly<Record<string, readonly number[]>>): Promise<string> {
  const file = join(folder, path);
  await mkdir(join(file, ".."), { recursive: true });
  await writeFile(file, embeddingFile(shapes));
  return file;
}
const shapesOf = async (...paths: string[]) =>
  [...(await openEmbeddings(paths, widths)).embeddings].map(([name, { count, vectors }]) => [
    name,
    count,
    ...vectors.map((rows) => rows?.map(({ length }) => length)),
  ]);

test("vectors are found under every name that files have", async () => {
  expect(await shapesOf(await made("Both.safetensors", { clip_l: [2, 16], clip_g: [2, 24] }))).toEqual([
    ["both", 2, [16, 16], [24, 24]],
  ]);
  expect(await shapesOf(await made("old.safetensors", { emb_params: [3, 16] }))).toEqual([["old", 3, [16, 16, 16], undefined]]);
  expect(await shapesOf(await made("word.safetensors", { "<cat>": [24] }))).toEqual([["word", 1, undefined, [24]]]);
  expect(await shapesOf(await made("any.safetensors", { whatever: [1, 16] }))).toEqual([["any", 1, [16], undefined]]);
});

test("the torch file of A1111 is read, with what it holds beside its vectors", async () => {
  const file = join(folder, "a1111.pt");
  const pickle = makePickle(
    ...["\x80\x02}(", { text: "string_to_token" }, "}", { text: "*" }, { int: 265 }, "s"],
    ...[{ text: "string_to_param" }, "}", { text: "*" }, ...pickledTensor("0", 32, [2, 16], [16, 1]), "s"],
    ...[{ text: "name" }, { text: "cat" }, { text: "step" }, { int: 100 }, "u."],
  );
  await writeFile(file, makeTorchZip(pickle, { 0: Buffer.alloc(128) }));
  expect(await shapesOf(file)).toEqual([["a1111", 2, [16, 16], undefined]]);
});

test("inspect tells how an embedding is used", async () => {
  const { kind, remarks } = await describe(await made("told.safetensors", { clip_l: [2, 16], clip_g: [2, 24] }));
  expect([kind, ...remarks]).toEqual(["textual-inversion", expect.stringMatching(/--embeddings .*embedding:told/)]);
});

test("a folder is read with those below it; what is none of the model's is left out, and said", async () => {
  await made("all/a.safetensors", { clip_l: [1, 16], clip_g: [1, 24] });
  await made("all/faces/old.safetensors", { emb_params: [1, 16] });
  await made("all/sd2.safetensors", { emb_params: [1, 1024] });
  await writeFile(join(folder, "all/broken.pt"), "no");
  const { embeddings, notices } = await openEmbeddings([join(folder, "all")], widths);
  expect([...embeddings.keys()]).toEqual(["a", "faces/old", "old"]);
  expect(notices).toEqual([
    { code: "embedding/left-out", message: expect.stringMatching(/^2 of 4 files .*: broken\.pt, sd2\.safetensors\.$/) },
  ]);
});

test("what cannot be used is refused by name", async () => {
  const open = (path: string) => openEmbeddings([path], widths);
  await expect(open(await made("sd2.safetensors", { emb_params: [1, 1024] }))).rejects.toThrow(code("embedding/width"));
  await expect(open(await made("swapped.safetensors", { clip_l: [1, 24], clip_g: [1, 16] }))).rejects.toThrow(
    code("embedding/width"),
  );
  await expect(open(await made("twice.safetensors", { a: [1, 16], b: [1, 16] }))).rejects.toThrow(code("embedding/width"));
  await expect(open(goldenPath("lora", "peft.safetensors"))).rejects.toThrow(code("embedding/wrong-kind"));
  await expect(open(join(folder, "nowhere.pt"))).rejects.toThrow(code("file/missing"));
  await mkdir(join(folder, "none"));
  await expect(open(join(folder, "none"))).rejects.toThrow(code("embedding/no-files"));
  const twins = [await made("x/same.safetensors", { a: [16] }), await made("y/Same.safetensors", { a: [16] })];
  await expect(openEmbeddings(twins, widths)).rejects.toThrow(code("embedding/same-name"));
});
