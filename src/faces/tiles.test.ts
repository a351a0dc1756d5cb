import fc from "fast-check";
import { expect, test } from "vitest";
import { searchTiles } from "./tiles.ts";

test("tiles are spread evenly", () => {
  expect(searchTiles(1000, 640, 640, 100).map(({ left, top }) => [left, top])).toEqual([
    [0, 0],
    [360, 0],
  ]);
  expect(searchTiles(300, 200, 640, 100)).toEqual([{ left: 0, top: 0, width: 300, height: 200 }]);
});

test("whatever is no wider than the overlap lies whole in one tile, and no tile reaches outside", () => {
  const side = fc.integer({ min: 1, max: 3000 });
  const share = fc.integer({ min: 0, max: 1000 });
  fc.assert(
    fc.property(side, side, fc.integer({ min: 200, max: 700 }), share, share, (w, h, tile, x, y) => {
      const overlap = Math.floor(tile / 2);
      const thing = Math.min(overlap, w, h);
      const [left, top] = [Math.floor((x * (w - thing)) / 1000), Math.floor((y * (h - thing)) / 1000)];
      const tiles = searchTiles(w, h, tile, overlap);
      const fits = tiles.every((each) => each.width <= tile && each.left + each.width <= w && each.top + each.height <= h);
      const across = (each: (typeof tiles)[number]) => left >= each.left && left + thing <= each.left + each.width;
      const down = (each: (typeof tiles)[number]) => top >= each.top && top + thing <= each.top + each.height;
      return fits && tiles.some((each) => across(each) && down(each));
    }),
    { numRuns: 50 },
  );
});
