import { expect, test } from "vitest";
import { Checkpoint } from "./checkpoint.ts";

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
