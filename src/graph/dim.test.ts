import fc from "fast-check";
import { expect, test } from "vitest";
import { addDims, ceilDim, type Dim, dimValue, divideDims, mulDims, namedDim, sameDim, visitDim } from "./dim.ts";

const h = namedDim("h");
const w = namedDim("w");

test("equal sizes are equal however they were computed", () => {
  expect(sameDim(mulDims(h, w, 4), mulDims(2, w, h, 2))).toBe(true);
  expect(sameDim(addDims(h, 2, h), addDims(mulDims(h, 2), 2))).toBe(true);
  expect(sameDim(addDims(h, mulDims(h, -1)), 0)).toBe(true);
  expect(sameDim(h, w)).toBe(false);
  expect(sameDim(ceilDim(h, 2), ceilDim(h, 2))).toBe(true);
  expect(sameDim(ceilDim(mulDims(h, 4), 2), mulDims(h, 2))).toBe(true);
  expect(sameDim(ceilDim(addDims(mulDims(h, 8), -1), 2), mulDims(h, 4))).toBe(true);
});

test("division is exact or refused", () => {
  expect(divideDims(mulDims(h, w, 6), mulDims(w, 3))).toEqual(mulDims(h, 2));
  expect(divideDims(addDims(h, 1), 2)).toBeUndefined();
  expect(divideDims(addDims(mulDims(h, 2), 4), 2)).toEqual(addDims(h, 2));
});

test("an expression has the value that its numbers give, also when computed by nodes", () => {
  const number = fc.integer({ min: 1, max: 40 });
  const dim: fc.Arbitrary<Dim> = fc.letrec<{ dim: Dim }>((tie) => ({
    dim: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<Dim>(h, w),
      number,
      fc.tuple(tie("dim"), tie("dim")).map(([a, b]) => addDims(a, b)),
      fc.tuple(tie("dim"), tie("dim")).map(([a, b]) => mulDims(a, b)),
      fc.tuple(tie("dim"), fc.integer({ min: 2, max: 4 })).map(([a, n]) => ceilDim(a, n)),
    ),
  })).dim;
  fc.assert(
    fc.property(dim, dim, number, number, (a, b, hv, wv) => {
      const names = new Map([
        ["h", hv],
        ["w", wv],
      ]);
      const value = (d: Dim): number => dimValue(d, names);
      expect(value(addDims(a, b))).toBe(value(a) + value(b));
      expect(value(mulDims(a, b))).toBe(value(a) * value(b));
      expect(value(ceilDim(a, 3))).toBe(Math.ceil(value(a) / 3));
      const visited = visitDim<number>(a, {
        constant: (x) => x,
        name: (x) => names.get(x)!,
        add: (x, y) => x + y,
        mul: (x, y) => x * y,
        ceil: (x, by) => Math.ceil(x / by),
      });
      expect(visited).toBe(value(a));
    }),
  );
});
