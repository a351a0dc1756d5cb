import { expect, test } from "vitest";
import { betweenBlocks, checkpointedGrad } from "./checkpointing.ts";
import { namedDim } from "./dim.ts";
import { grad } from "./grad.ts";
import { liveBytes } from "./live.ts";
import { silu } from "./ops/activation.ts";
import { after } from "./ops/after.ts";
import { add, mul } from "./ops/elementwise.ts";
import { reshape } from "./ops/layout.ts";
import { matmul } from "./ops/matrix.ts";
import { reduceMean } from "./ops/reduce.ts";
import { input } from "./ops/source.ts";

test("a value counts from its computation to its last use; inputs and outputs do not count", () => {
  const x = input("x", [10]);
  const a = silu(x);
  const b = mul(a, a);
  expect(liveBytes([b])).toBe(40);
  expect(liveBytes([mul(b, a)])).toBe(80);
  expect(liveBytes([mul(b, b)])).toBe(80); // a and b, then b alone
  expect(liveBytes([silu(silu(silu(silu(x))))])).toBe(80);
});

test("a reshape takes no memory, and keeps that of its input", () => {
  const x = input("x", [10]);
  const a = silu(x);
  const late = after(reshape(a, [2, 5]), x);
  expect(liveBytes([mul(late, reshape(silu(a), [2, 5]))])).toBe(80);
});

test("checkpoints lower live memory in proportion to the depth of blocks", () => {
  let x = input("x", [4096, 16]);
  const weights = Array.from({ length: 12 }, (_, i) => input(`block.${i}.weight`, [16, 16]));
  for (const w of weights) x = add(x, silu(matmul(silu(matmul(silu(matmul(x, w)), w)), w)));
  const loss = reduceMean(mul(x, x));
  const kept = betweenBlocks([loss], (path) => /^block\.\d+/.exec(path)?.[0]);
  const plain = liveBytes([loss, ...grad(loss, weights)]);
  expect(liveBytes([loss, ...checkpointedGrad(loss, weights, kept)])).toBeLessThan(plain / 2);
});

test("a symbolic size is refused by name", () => {
  const y = silu(silu(input("x", [namedDim("height")])));
  expect(() => liveBytes([y])).toThrow("height");
});
