import fc from "fast-check";
import { expect, test } from "vitest";
import { type Plane, tiled } from "./tiles.ts";

const plane = (channels: number, height: number, width: number): Plane => ({
  channels,
  height,
  width,
  data: Float32Array.from({ length: channels * height * width }, (_, i) => Math.sin(i)),
});

const enlarge =
  (factor: number) =>
  async (t: Plane): Promise<Plane> => {
    const [height, width] = [t.height * factor, t.width * factor];
    const data = new Float32Array(t.channels * height * width);
    for (let c = 0; c < t.channels; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          data[(c * height + y) * width + x] =
            t.data[(c * t.height + Math.floor(y / factor)) * t.width + Math.floor(x / factor)]!;
    return { channels: t.channels, height, width, data };
  };

test("a model that sees single pixels gives the same with tiles of any size as without", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom(8, 16),
      async (h, w, overlap) => {
        const whole = plane(2, h * 8, w * 8);
        const out = await tiled(whole, enlarge(2), { tile: 32, overlap });
        expect(out.data).toMatchGolden((await enlarge(2)(whole)).data, 1e-5);
      },
    ),
    { numRuns: 25 },
  );
});

test("tiles are no larger than asked and cover a picture smaller than one tile in one go", async () => {
  const seen: number[][] = [];
  const watch = async (t: Plane): Promise<Plane> => {
    seen.push([t.height, t.width]);
    return t;
  };
  await tiled(plane(1, 100, 24), watch, { tile: 32, overlap: 8 });
  expect(seen.every(([h, w]) => h! <= 32 && w! <= 32)).toBe(true);
  seen.length = 0;
  await tiled(plane(1, 16, 24), watch, { tile: 32, overlap: 8 });
  expect(seen).toEqual([[16, 24]]);
});
