import { afterAll, expect, test } from "vitest";
import { ortRuntime } from "../../runtime/node/ort-runtime.ts";
import { LazySession } from "../../sessions/lazy-session.ts";
import { posteriorGraph } from "../../sessions/vae-encoder.ts";
import { goldenPath } from "../../testing/golden.ts";
import { silent } from "../../testing/tiny-model.ts";
import { openModel } from "../../weights/index.ts";
import type { Plane } from "../decode/tiles.ts";
import { encodePixels } from "./encode-start.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());
const { vae } = (await openModel(goldenPath("tiny-sdxl"))).components;
const sizes: number[][] = [];
const session = new LazySession(runtime, "vae_encoder", posteriorGraph(vae).encode);
const watched = {
  factor: 8,
  channels: 4,
  session: {
    get: async () => {
      const loaded = await session.get(silent);
      return {
        run: (feeds: Parameters<typeof loaded.run>[0]) => {
          sizes.push([...feeds.pixels!.dims]);
          return loaded.run(feeds);
        },
      };
    },
  } as unknown as typeof session,
};
const [width, height] = [200, 72];
const picture: Plane = {
  ...{ channels: 3, width, height },
  data: Float32Array.from(
    { length: 3 * width * height },
    (_, i) => Math.sin((i % width) / 9) * Math.cos(Math.floor(i / width) / 14),
  ),
};

test("a picture that fits is encoded whole, and a large one in tiles that begin at whole latents and differ little", async () => {
  const whole = await encodePixels(watched, picture, silent);
  expect(sizes.splice(0)).toEqual([[1, 3, height, width]]);
  const tiles = await encodePixels(watched, picture, silent, { largestWhole: 128 * 72, tiles: { area: 16 * 9, overlap: 6 } });
  const used = sizes.splice(0);
  expect(used.length).toBeGreaterThan(1);
  expect(used.every(([, , h, w]) => h! % 8 === 0 && w! % 8 === 0 && h! * w! <= 16 * 9 * 64)).toBe(true);
  for (const key of ["mean", "deviation"] as const) {
    expect(tiles[key]).toHaveLength(4 * 25 * 9);
    const spread = Math.max(...whole[key]) - Math.min(...whole[key]);
    const apart = whole[key].reduce((sum, v, i) => sum + Math.abs(v - tiles[key][i]!), 0) / whole[key].length;
    expect(apart / spread).toBeLessThan(0.05);
  }
});

test("an encoder that sees no further than a latent's own pixels gives the same in tiles, to rounding", async () => {
  const local = {
    get: async () => ({
      run: async ({ pixels }: { pixels: { dims: number[]; data: Float32Array } }) => {
        const [, , h, w] = pixels.dims as [number, number, number, number];
        const at = (c: number, y: number, x: number): number => pixels.data[(c * h + y) * w + x]!;
        const mean = Array.from({ length: 4 * (h / 8) * (w / 8) }, (_, i) => {
          const [c, y, x] = [Math.floor(i / ((h / 8) * (w / 8))), Math.floor(i / (w / 8)) % (h / 8), i % (w / 8)];
          return at(c % 3, 8 * y + c, 8 * x + 2 * c) + 3 * at(2, 8 * y + 7, 8 * x);
        });
        return { mean: { data: Float32Array.from(mean) }, logVariance: { data: Float32Array.from(mean, (v) => v / 2) } };
      },
    }),
  } as unknown as typeof session;
  const encoder = { factor: 8, channels: 4, session: local };
  const whole = await encodePixels(encoder, picture, silent);
  const tiles = await encodePixels(encoder, picture, silent, { largestWhole: 0, tiles: { area: 40, overlap: 2 } });
  expect(tiles.mean).toMatchGolden(whole.mean, 1e-5);
  expect(tiles.deviation).toMatchGolden(whole.deviation, 1e-5);
  expect(whole.mean[0]).toBeCloseTo(picture.data[0]! + 3 * picture.data[(2 * height + 7) * width]!, 5);
});
