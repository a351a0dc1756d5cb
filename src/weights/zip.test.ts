import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type MadeMember, makeZip } from "../testing/made-files.ts";
import { withFile } from "./file-access.node.ts";
import { readZipDirectory, readZipEntry } from "./zip.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "zip-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function readAll(zip: Uint8Array): Promise<Record<string, string>> {
  const path = join(folder, "a.zip");
  await writeFile(path, zip);
  return withFile(path, async (file) => {
    const out: Record<string, string> = {};
    for (const [name, entry] of await readZipDirectory(file)) out[name] = Buffer.from(await readZipEntry(file, entry)).toString();
    return out;
  });
}

const a: MadeMember = { name: "a", data: Buffer.from("first") };
const b: MadeMember = { name: "b", data: Buffer.from("second".repeat(50)), deflate: true };

test.each([false, true])("members are found and unpacked; zip64: %s", async (wide) => {
  expect(await readAll(makeZip([a, b], { wide }))).toEqual({ a: "first", b: "second".repeat(50) });
  expect(await readAll(makeZip([], { wide }))).toEqual({});
});

const claiming = (claim: NonNullable<MadeMember["claim"]>, of = a): Buffer =>
  makeZip([
    { ...of, claim },
    { ...b, name: "c" },
  ]);

test.each<[string, string, Buffer]>([
  ["an archive cut off", "truncated", makeZip([a, b]).subarray(0, 90)],
  ["an archive with its beginning lost", "corrupt", makeZip([a, b]).subarray(10)],
  ["members that overlap", "overlap", makeZip([a, { ...b, claim: { offset: 20 } }])],
  ["two members at the same offset", "overlap", makeZip([a, { ...a, name: "b", claim: { offset: 0 } }])],
  ["a member beyond the end", "corrupt", claiming({ offset: 2 ** 31 })],
  ["a member where there is none", "corrupt", claiming({ offset: 1 })],
  ["a size beyond the data", "corrupt", claiming({ size: 10 ** 6, compressedSize: 10 ** 6 })],
  ["stored data of two sizes", "corrupt", claiming({ size: 4 })],
  ["a wrong checksum", "corrupt", claiming({ crc32: 1 })],
  ["packed data that yield more than they claim", "corrupt", claiming({ size: 10 }, b)],
  ["packed data that cannot be unpacked", "corrupt", claiming({ method: 8 })],
  ["an encrypted member", "unsupported", claiming({ flags: 1 })],
  ["an unknown method", "unsupported", claiming({ method: 14 })],
  ["a name given twice", "duplicate-name", makeZip([a, a])],
])("refuses %s: zip/%s", async (_, code, zip) => {
  await expect(readAll(zip)).rejects.toMatchObject({ name: "UserError", code: `zip/${code}` });
});
