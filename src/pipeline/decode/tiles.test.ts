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

test("a model with a receptive field of one pixel gives the same result with tiles of any size as without", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 72 }),
      fc.integer({ min: 1, max: 72 }),
      fc.constantFrom(4, 8, 16),
      async (h, w, overlap) => {
        const whole = plane(2, h, w);
        const out = await tiled(whole, enlarge(2), { area: 1024, overlap });
        expect(out.data).toMatchGolden((await enlarge(2)(whole)).data, 1e-5);
      },
    ),
    { numRuns: 25 },
  );
});

async function tilesOf(height: number, width: number, area: number, overlap: number): Promise<number[][]> {
  const seen: number[][] = [];
  const watch = async (t: Plane): Promise<Plane> => {
    seen.push([t.height, t.width]);
    return t;
  };
  await tiled(plane(1, height, width), watch, { area, overlap });
  return seen;
}

test("tiles are no larger than allowed, make the least work, and one covers a small picture", async () => {
  expect(await tilesOf(128, 128, 96 * 96, 16)).toEqual([
    [72, 128],
    [72, 128],
  ]);
  expect(await tilesOf(256, 64, 96 * 96, 16)).toEqual([
    [136, 64],
    [136, 64],
  ]);
  expect(await tilesOf(16, 24, 1024, 8)).toEqual([[16, 24]]);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), async (h, w) => {
      expect((await tilesOf(h, w, 1024, 8)).every(([rows, columns]) => rows! * columns! <= 1024)).toBe(true);
    }),
    { numRuns: 25 },
  );
  await expect(tilesOf(128, 128, 80, 8)).rejects.toThrow("too small");
});
