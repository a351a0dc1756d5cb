import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claimPartial } from "./partial-file.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "partial-"));
});
afterEach(() => rm(folder, { recursive: true }));

const DEAD = 2 ** 22 + 1; // beyond the largest process id of Linux

test("what a run released or a dead process left is gone on with, the largest first", async () => {
  await writeFile(join(folder, "x.photomaker.incomplete"), "12");
  await writeFile(join(folder, `x.${DEAD}_ab@${hostname()}.photomaker.incomplete`), "1234");
  const part = await claimPartial(folder, "x");
  expect(await readFile(part!.path, "utf8")).toBe("1234");
  await part!.release();
  expect(await readdir(folder)).toEqual(["x.photomaker.incomplete"]);
});

test("what another program is at work on is left alone", async () => {
  for (const name of ["x.incomplete", "x.0a1b2c3d.incomplete"]) await writeFile(join(folder, name), "123456");
  const part = await claimPartial(folder, "x");
  expect(await readFile(part!.path, "utf8")).toBe("");
  await part!.release();
  expect((await readdir(folder)).sort()).toEqual(["x.0a1b2c3d.incomplete", "x.incomplete"]);
});

test("a part of another computer is left alone until it has not grown for long", async () => {
  const other = join(folder, `x.${DEAD}_ab@elsewhere.photomaker.incomplete`);
  await writeFile(other, "1234");
  let waits = 0;
  const onWait = () => {
    if (++waits === 2) void utimes(other, new Date(0), new Date(0));
  };
  const part = await claimPartial(folder, "x", { pollMs: 5, onWait });
  expect(waits).toBeGreaterThanOrEqual(2);
  expect(await readFile(part!.path, "utf8")).toBe("1234");
});

test("of many at once one gets it, and the others wait until the blob is there", async () => {
  await writeFile(join(folder, "x.photomaker.incomplete"), "12");
  let holders = 0;
  const results = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const part = await claimPartial(folder, "x", { pollMs: 5 });
      if (part === undefined) return "there";
      expect(++holders).toBe(1);
      await new Promise((done) => setTimeout(done, 30));
      await part.finish();
      return "mine";
    }),
  );
  expect(results.filter((result) => result === "mine")).toHaveLength(1);
  expect(await readdir(folder)).toEqual(["x"]);
});
