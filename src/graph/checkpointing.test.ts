import { expect, test } from "vitest";
import { betweenBlocks, checkpointedGrad } from "./checkpointing.ts";
import { grad } from "./grad.ts";
import { add, mul } from "./ops/elementwise.ts";
import { linear } from "./ops/matrix.ts";
import { reduceMean } from "./ops/reduce.ts";
import { input } from "./ops/source.ts";
import { inOrder } from "./rewrite.ts";
import type { Tensor } from "./tensor.ts";

/** A chain of blocks, each of which adds a product to its input. */
function chain(blocks: number): { loss: Tensor; weights: Tensor[] } {
  const weights = Array.from({ length: blocks }, (_, i) => input(`block.${i}.weight`, [3, 3]));
  const y = weights.reduce((x, w) => add(x, mul(linear(x, w), 0.5)), input("x", [2, 3]));
  return { loss: reduceMean(mul(y, y)), weights };
}
const blockOf = (path: string) => /^block\.\d+/.exec(path)?.[0];

test("values between blocks are kept, and none inside them", () => {
  const { loss } = chain(4);
  const kept = [...betweenBlocks([loss], blockOf)];
  expect(kept.map((t) => t.op.name)).toEqual(["add", "add", "add"]);
});

test("each block but the last is computed twice", () => {
  const { loss, weights } = chain(4);
  const count = (gradients: Tensor[]) => inOrder([loss, ...gradients]).filter((t) => t.op.name === "linear").length;
  expect(count(grad(loss, weights))).toBe(4);
  // a product is not needed for its own gradient, only what comes before it in its block
  expect(count(checkpointedGrad(loss, weights, betweenBlocks([loss], blockOf)))).toBe(4);
  const squares = mul(loss, loss);
  expect(checkpointedGrad(squares, weights, new Set())).toHaveLength(4);
});

test("a loss that does not depend on a weight gives zeros", () => {
  const { loss } = chain(2);
  const other = input("other", [2]);
  expect(checkpointedGrad(loss, [other], new Set())[0]!.shape).toEqual([2]);
});

test("a loss of several numbers is refused", () => {
  expect(() => checkpointedGrad(input("x", [2]), [], new Set())).toThrow("a loss is one number");
});
