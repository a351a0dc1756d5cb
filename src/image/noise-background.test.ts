import { expect, test } from "vitest";
import { seededRandom } from "../core/random/seeded-random.ts";
import { noiseBackground } from "./noise-background.ts";
import { rgb8 } from "./rgb8.ts";

test("what is not the person is noise, the same whatever the mask", () => {
  const picture = rgb8(20, 10, new Uint8Array(600).fill(100));
  const noise = noiseBackground(picture, new Uint8Array(600), seededRandom(1)).data;
  const half = noiseBackground(
    picture,
    Uint8Array.from({ length: 600 }, (_, i) => (i < 300 ? 255 : 0)),
    seededRandom(1),
  ).data;
  expect([...half.subarray(0, 300)]).toEqual(Array(300).fill(100));
  expect([...half.subarray(300)]).toEqual([...noise.subarray(300)]);
  expect(new Set(noise).size).toBeGreaterThan(150); // of 256 values, each as likely as the others
  expect(Math.abs(noise.reduce((sum, v) => sum + v, 0) / 600 - 127.5)).toBeLessThan(12); // four deviations of the mean
});
