import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { floats } from "../../core/array.ts";
import { writeSafetensors } from "../../weights/safetensors-write.node.ts";
import { readIdEmbeds, readLatents } from "./read-latents.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "latents-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(...names: string[]): Promise<string> {
  const path = join(folder, `${names.join("-")}.safetensors`);
  await writeSafetensors(
    path,
    names.map((name, i) => ({ name, dtype: "F32", shape: [1, 2], data: Float32Array.of(i, i) })),
  );
  return path;
}

test("of several tensors the one of the right name is taken, and a single one under any name", async () => {
  expect([...(await readLatents(await file("latents", "initial_noise"), [1, 2]))]).toEqual([1, 1]);
  expect([...(await readLatents(await file("x"), [1, 2]))]).toEqual([0, 0]);
  await expect(readLatents(await file("a", "b"), [1, 2])).rejects.toMatchObject({
    code: "latents/missing",
    message: expect.stringContaining("it has a, b"),
  });
});

test("face embeddings are found by their name, or as the only floats of a file, and a vector is that of one photo", async () => {
  const zeros = floats(Float32Array.of(0, 0), 1, 2);
  expect(await readIdEmbeds(await file("id_embeds", "other"))).toEqual(zeros);
  expect(await readIdEmbeds(await file("pmid.id_embeds", "another"))).toEqual(zeros);
  expect(await readIdEmbeds(await file("alone"))).toEqual(zeros);
  const tensor = (name: string, shape: number[]) => ({ name, dtype: "F32" as const, shape, data: Float32Array.of(3, 4) });
  const save = (name: string, ...tensors: Parameters<typeof writeSafetensors>[1][]) =>
    writeSafetensors(
      join(folder, name),
      tensors.flatMap((one) => [...one]),
    ).then(() => join(folder, name));
  const vector = await save("vector.safetensors", [tensor("face", [2])]);
  expect(await readIdEmbeds(vector)).toEqual(floats(Float32Array.of(3, 4), 1, 2));
  const ofPhotos = await save("photos.safetensors", [tensor("faces", [2, 1, 1])]);
  expect(await readIdEmbeds(ofPhotos)).toEqual(floats(Float32Array.of(3, 4), 2, 1));
  const beside = { name: "ages", dtype: "I32" as const, shape: [1], data: Int32Array.of(30) };
  expect(await readIdEmbeds(await save("beside.safetensors", [beside, tensor("faces", [1, 2])]))).toEqual(
    floats(Float32Array.of(3, 4), 1, 2),
  );
});

test("a file without face embeddings tells what it has: id-embeds/unnamed", async () => {
  await expect(readIdEmbeds(await file("one", "two"))).rejects.toMatchObject({
    code: "id-embeds/unnamed",
    message: expect.stringContaining("it has one F32 [1,2], two F32 [1,2]"),
  });
});

/** An array as numpy.save writes it. */
async function npy(name: string, header: string, data: ArrayBufferView, version = 1): Promise<string> {
  const text = `${header}${" ".repeat(64)}\n`;
  const start = version === 1 ? 10 : 12;
  const bytes = new Uint8Array(start + text.length + data.byteLength);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  const view = new DataView(bytes.buffer);
  if (version === 1) view.setUint16(8, text.length, true);
  else view.setUint32(8, text.length, true);
  bytes.set(new TextEncoder().encode(text), start);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start + text.length);
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}
const header = (descr: string, shape: string, order = "False") =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;

test("face embeddings as NumPy saves them", async () => {
  const rows = floats(Float32Array.of(1, 2, 3, 4, 5, 6), 2, 3);
  expect(await readIdEmbeds(await npy("f4.npy", header("<f4", "(2, 3)"), Float32Array.of(1, 2, 3, 4, 5, 6)))).toEqual(rows);
  expect(await readIdEmbeds(await npy("f8.npy", header("<f8", "(2, 3)"), Float64Array.of(1, 2, 3, 4, 5, 6), 2))).toEqual(rows);
  expect(
    await readIdEmbeds(await npy("columns.npy", header("<f4", "(2, 3)", "True"), Float32Array.of(1, 4, 2, 5, 3, 6))),
  ).toEqual(rows);
  const vector = await npy("vector.npy", header("<f4", "(3,)"), Float32Array.of(1, 2, 3));
  expect(await readIdEmbeds(vector)).toEqual(floats(Float32Array.of(1, 2, 3), 1, 3));
});

test.each<[string, string, string, Parameters<typeof npy>[2]]>([
  ["too few numbers", "npy/damaged", header("<f4", "(2, 3)"), Float32Array.of(1, 2)],
  ["an enormous shape", "npy/damaged", header("<f4", "(9007199254740993, 3)"), Float32Array.of(1, 2)],
  ["no shape", "npy/damaged", "{'descr': '<f4', 'fortran_order': False}", Float32Array.of(1)],
  ["objects", "npy/unsupported", header("|O", "(1,)"), Float32Array.of(1)],
  ["records", "npy/unsupported", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", Float32Array.of(1)],
  ["big-endian numbers", "npy/unsupported", header(">f4", "(1,)"), Float32Array.of(1)],
  ["columns of three dimensions", "npy/unsupported", header("<f4", "(2, 2, 1)", "True"), Float32Array.of(1, 2, 3, 4)],
])("a NumPy array with %s: %s", async (what, code, text, data) => {
  await expect(readIdEmbeds(await npy(`${what}.npy`, text, data))).rejects.toMatchObject({ name: "UserError", code });
});

test("a NumPy array that ends in its header", async () => {
  const path = join(folder, "short.npy");
  await writeFile(path, Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 200));
  await expect(readIdEmbeds(path)).rejects.toMatchObject({ code: "npy/damaged" });
});
