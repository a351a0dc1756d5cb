import { expect, test } from "vitest";
import { rgb8 } from "../../image/index.ts";
import { boxOf, filledMask, grownMask, latentMaskOf, maskOf, opacityOf, type StartMask, withBlur } from "./start-mask.ts";

const grey = (width: number, height: number, shade: (x: number, y: number) => number) =>
  rgb8(
    width,
    height,
    Uint8Array.from({ length: 3 * width * height }, (_, i) => {
      const pixel = Math.floor(i / 3);
      return shade(pixel % width, Math.floor(pixel / width));
    }),
  );
const soft = (...shares: number[]): StartMask => ({
  width: shares.length,
  height: 1,
  shares: Float32Array.from(shares),
  kind: "soft",
});

test("nearly black and white, as JPEG leaves them, are black and white", () => {
  const { mask, notices } = maskOf(
    grey(4, 1, (x) => [0, 15, 240, 255][x]!),
    { width: 4, height: 1 },
  );
  expect([...mask.shares]).toEqual([0, 0, 1, 1]);
  expect(mask.kind).toBe("hard");
  expect(notices).toEqual([]);
});

test("what is drawn covers all of a map of change but its faintest parts; a blurred edge is mixed", () => {
  expect([...opacityOf(soft(0, 0.125, 0.25, 0.5, 1))]).toEqual([0, 0.5, 1, 1, 1]);
  expect([...opacityOf({ ...soft(0, 0.125, 1), kind: "edge" })]).toEqual([0, 0.125, 1]);
});

test("a blur softens the edge alone, and keeps the sum", () => {
  const { mask } = maskOf(
    grey(60, 8, (x) => (x < 30 ? 255 : 0)),
    { width: 60, height: 8 },
  );
  const blurred = withBlur(mask, 4);
  expect(blurred.kind).toBe("edge");
  const [first, last] = [blurred.shares[0]!, blurred.shares[59]!];
  expect([first, last]).toEqual([expect.closeTo(1, 4), expect.closeTo(0, 4)]);
  expect(blurred.shares[29]! + blurred.shares[30]!).toBeCloseTo(1, 4);
  expect(blurred.shares[29]).toBeLessThan(0.6);
  expect(withBlur(mask, 0)).toBe(mask);
});

test("a grown picture's mask has what is new, a falling strip beside it, and the old mask", () => {
  const old = soft(...Array.from({ length: 100 }, (_, x) => (x === 90 ? 1 : 0)));
  const grown = grownMask({ width: 100, height: 1 }, [10, 0, 0, 0], { ...old, kind: "hard" });
  expect(grown).toMatchObject({ width: 110, height: 1, kind: "edge" });
  expect([...grown.shares.subarray(0, 10)]).toEqual(Array(10).fill(1));
  expect(grown.shares[10]).toBeGreaterThan(0.9);
  expect(grown.shares[25]).toBeCloseTo(1 - 16 / 33, 5);
  expect([...grown.shares.subarray(43, 100)]).toEqual(Array(57).fill(0));
  expect(grown.shares[100]).toBe(1);
  expect(boxOf(grown)).toEqual({ left: 0, top: 0, right: 101, bottom: 1 });
});

test("latents take the first pixel of a hard mask's block, and the mean of a soft one's", () => {
  const shares = Float32Array.of(0, 1, 1, 0, 1, 1, 1, 0);
  const mask = { width: 4, height: 2, shares, kind: "hard" } as const;
  expect(latentMaskOf(mask, 2)).toEqual({ shares: Float32Array.of(0, 1), soft: false });
  expect(latentMaskOf({ ...mask, kind: "soft" }, 2)).toEqual({ shares: Float32Array.of(0.75, 0.5), soft: true });
});

test("a UNet that fills masks is told of 0 and 1 alone: of all that may change at all, or of a blurred edge from its middle on", () => {
  expect([...filledMask(soft(0, 0.02, 0.1, 0.6, 1)).shares]).toEqual([0, 0, 1, 1, 1]);
  expect([...filledMask({ ...soft(0, 0.4, 0.6, 1), kind: "edge" }).shares]).toEqual([0, 0, 1, 1]);
});
