import { expect, test } from "vitest";
import { isInside, parseHubId } from "./hub-id.ts";

test.each([
  ["TencentARC/PhotoMaker", { repo: "TencentARC/PhotoMaker" }],
  ["SG161222/RealVisXL_V4.0", { repo: "SG161222/RealVisXL_V4.0" }],
  ["a/b@refs/pr/1", { repo: "a/b", revision: "refs/pr/1" }],
  ["a/b:x/y.safetensors", { repo: "a/b", file: "x/y.safetensors" }],
  ["a/b@v1.0:y z.bin", { repo: "a/b", revision: "v1.0", file: "y z.bin" }],
])("%s", (text, id) => {
  expect(parseHubId(text)).toEqual(id);
});

test.each([
  "sdxl",
  "./a/b",
  "../a/b",
  "/a/b",
  "a/b/c",
  "C:/models",
  "C:\\a\\b",
  "a/b.safetensors",
  "a/b:../x",
  "a/b@..",
  "a--b/c",
  "",
])("%j is a path, not an id", (text) => {
  expect(parseHubId(text)).toBeUndefined();
});

test.each(["../x", "/x", "a//b", "a/./b", "C:/x", "a\\..\\b", "d/c:x", ""])("%j leaves the folder it is put in", (path) => {
  expect(isInside(path)).toBe(false);
});
