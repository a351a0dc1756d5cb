import { expect, test } from "vitest";
import { readFloats, type TensorEntry } from "../weights/index.ts";
import { Checkpoint } from "./checkpoint.ts";
import { paramOp } from "./ops/source.ts";
import { inOrder } from "./rewrite.ts";
import { is } from "./tensor.ts";

const checkpoint = new Checkpoint(
  new Map([["w", { name: "w", dtype: "F32", shape: [2, 3], source: { kind: "bytes", bytes: new Uint8Array(24) } }]]),
  "unet",
);

test("a weight that is missing or of another shape is refused by its name", () => {
  expect(checkpoint.param("w", [2, 3]).shape).toEqual([2, 3]);
  const refusal = (code: string, message: string) => expect.objectContaining({ name: "UserError", code, message });
  expect(() => new Checkpoint(new Map(), "unet").param("w", [2, 3])).toThrow(
    refusal("weights/missing", 'unet has no weight "w".'),
  );
  const other = new Checkpoint(
    new Map([["w", { name: "w", dtype: "F32", shape: [3], source: { kind: "bytes", bytes: new Uint8Array(12) } }]]),
    "unet",
  );
  expect(() => other.param("w", [2, 3])).toThrow(
    refusal("weights/shape", 'The weight "w" of unet is [3], and the model needs [2, 3].'),
  );
});

test("a weight that is stored transposed is transposed once: by the graph, and not again where its numbers are read", async () => {
  const bytes = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
  const entry: TensorEntry = { name: "x", dtype: "F32", shape: [3, 2], transposed: true, source: { kind: "bytes", bytes } };
  const tensor = new Checkpoint(new Map([["x", entry]]), "a model").param("x", [3, 2]);
  expect(tensor.shape).toEqual([3, 2]);
  const stored = inOrder([tensor]).flatMap((t) => (is(t, paramOp) ? [t.attrs.entry] : []));
  expect(stored.map(({ shape }) => shape)).toEqual([[2, 3]]);
  expect([...(await readFloats(stored[0]!))]).toEqual([1, 2, 3, 4, 5, 6]);
});
