import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readJsonObject } from "./read-json.node.ts";

test("a file that is far too large for a config is not read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "json-"));
  const path = join(folder, "config.json");
  await using file = await open(path, "w");
  await file.truncate(2 ** 26 + 1);
  await expect(readJsonObject(path)).rejects.toMatchObject({ code: "config/too-large" });
  await file.truncate(0);
  await file.write('{"a": NaN}');
  expect(await readJsonObject(path)).toEqual({ a: null });
  await rm(folder, { recursive: true });
});

test("a config that an editor of Windows has saved is read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "json-"));
  const path = join(folder, "config.json");
  for (const encoding of ["utf8", "utf16le"] as const) {
    await writeFile(path, '\ufeff{"a": 1}\r\n', encoding);
    expect(await readJsonObject(path)).toEqual({ a: 1 });
  }
  await rm(folder, { recursive: true });
});
