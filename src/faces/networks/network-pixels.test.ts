import { expect, test } from "vitest";
import { rgb8 } from "../../image/rgb8.ts";
import { networkPixels } from "./network-pixels.ts";

const picture = rgb8(2, 1, Uint8Array.of(10, 20, 30, 40, 50, 60));

test("channels stand one after the other, in the order asked for", () => {
  expect(networkPixels(picture)).toEqual({ dtype: "f32", dims: [1, 3, 1, 2], data: Float32Array.of(10, 40, 20, 50, 30, 60) });
  expect([...networkPixels(picture, { order: "bgr" }).data]).toEqual([30, 60, 20, 50, 10, 40]);
});

test("what the picture does not fill is black, in the network's range", () => {
  const { dims, data } = networkPixels(picture, { mean: 10, spread: 10, width: 3, height: 2 });
  expect(dims).toEqual([1, 3, 2, 3]);
  expect([...data.subarray(0, 6)]).toEqual([0, 3, -1, -1, -1, -1]);
});
