import { expect, test } from "vitest";
import { cli } from "../../testing/run-cli.ts";

test("a file is named once, in the name or beside it", async () => {
  const asked: string[] = [];
  const download = (id: string) => {
    asked.push(id);
    return Promise.resolve("/cache/x");
  };
  const run = (...args: string[]) => cli(["download", ...args, "--json"], { download });
  const twice = await run("org/name:a.bin", "--file", "b.bin");
  expect(JSON.parse(twice.out)).toMatchObject({ error: { code: "download/file-twice" } });
  expect(asked).toEqual([]);
  await run("org/name", "--file", "b.bin");
  expect(asked).toEqual(["org/name:b.bin"]);
});
