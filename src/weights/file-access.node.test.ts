import { expect, test } from "vitest";
import { asReadError } from "./file-access.node.ts";

test.each([
  ["EACCES", "file/denied"],
  ["EPERM", "file/denied"],
  ["ENOENT", "file/missing"],
  ["EISDIR", "file/is-folder"],
])("%s is told as %s", (system, code) => {
  const cause = Object.assign(new Error(system), { code: system });
  expect(asReadError(cause, "a.safetensors")).toMatchObject({ name: "UserError", code, cause });
});

test("a fault of the program stays what it is", () => {
  const fault = new TypeError("ours");
  expect(asReadError(fault, "a")).toBe(fault);
});
