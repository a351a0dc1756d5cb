import { spawnSync } from "node:child_process";
import { hostname } from "node:os";
import { expect, test } from "vitest";
import { holderName, mayBeAtWork } from "./holder.node.ts";

test("this process is at work, one that has ended is not, and one of another machine may be", () => {
  expect(mayBeAtWork(holderName())).toBe(true);
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  expect(mayBeAtWork(`${pid}_00ff@${hostname()}`)).toBe(false);
  expect(mayBeAtWork(`${pid}_00ff@elsewhere.${hostname()}`)).toBe(true);
  for (const nobody of ["", "left", "12@host", "_ab@host"]) expect(mayBeAtWork(nobody)).toBe(false);
});

test("no two names are alike", () => {
  expect(holderName()).not.toBe(holderName());
});
