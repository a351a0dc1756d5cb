import { expect, test } from "vitest";
import { atOnce } from "../../core/steps.ts";
import { add } from "../../graph/ops/elementwise.ts";
import { param } from "../../graph/ops/source.ts";
import type { ByteSource } from "../../weights/byte-source.ts";
import { FileSource } from "../../weights/file-access.node.ts";
import { encodeModel } from "./encode-model.ts";

/** A file that does not exist, since nothing is read from it. */
const source = (path: string): ByteSource => new FileSource(path, 16);

test("weights on two drives are refused", () => {
  const weight = (file: string) =>
    param(file, { name: file, dtype: "F32", shape: [4], source: { kind: "file", file: source(file), offset: 0, length: 16 } });
  const model = (...files: [string, string]) => atOnce(encodeModel({ y: add(weight(files[0]), weight(files[1])) }, {}));
  expect(model("/models/a", "/loras/b").model.length).toBeGreaterThan(0);
  // here a file without a root stands for one of another drive
  expect(() => model("/models/a", "b")).toThrow(expect.objectContaining({ code: "weights/several-drives" }));
});
