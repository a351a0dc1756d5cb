import { floats, integers } from "../../core/array.ts";
import { UserError } from "../../core/errors.ts";
import { Checkpoint } from "../../graph/checkpoint.ts";
import { namedDim } from "../../graph/dim.ts";
import { input } from "../../graph/ops/source.ts";
import { Weights } from "../../graph/weights.ts";
import type { Rgb8 } from "../../image/rgb8.ts";
import { lpips } from "../../models/evaluation/lpips.ts";
import { lpipsConfig } from "../../models/evaluation/lpips-config.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { PicturePair } from "../measures/face-diversity.ts";
import { openNetworkWeights } from "./network-weights.node.ts";

export interface Lpips {
  readonly net: "alex" | "vgg";
  /**
   * Distances of pairs, in their order. @param pictures all of one size, at least 64 x 64
   * @throws RangeError if their sizes differ
   */
  distances(pictures: readonly Rgb8[], pairs: readonly PicturePair[]): Promise<Float64Array>;
  close(): Promise<void>;
}

/** Pairs are taken in tiles of so many pictures by so many, so that the maps of a picture are computed for several pairs. */
const TILE = 6;

/**
 * Opens LPIPS 0.1.
 * @param paths.trunk torchvision's AlexNet or VGG-16
 * @param paths.lin the package's weights of channels, `alex.pth` or `vgg.pth`
 * @throws UserError network/*, weights/*, and those of openTensors
 */
export async function openLpips(paths: { readonly trunk: string; readonly lin: string }, runtime: Runtime): Promise<Lpips> {
  const { tensors: trunk } = await openNetworkWeights(paths.trunk, []);
  const { tensors: lin } = await openNetworkWeights(paths.lin, []);
  const config = lpipsConfig(trunk);
  if (!lin.has("lin0.model.1.weight"))
    throw new UserError(
      "network/wrong-kind",
      `${paths.lin} does not hold LPIPS' weights of channels: it has no "lin0.model.1.weight".`,
      `Give ${config.net}.pth of the package lpips, version 0.1.`,
    );
  const pixels = input("pixels", [namedDim("batch"), 3, namedDim("height"), namedDim("width")]);
  const pairs = [input("first", [namedDim("pairs")], "i64"), input("second", [namedDim("pairs")], "i64")] as const;
  const weights = {
    trunk: new Weights(new Checkpoint(trunk, "LPIPS' trunk")).at("features"),
    lin: new Weights(new Checkpoint(lin, "LPIPS")),
  };
  const session = await runtime.load({ distance: lpips(pixels, pairs, weights, config) });
  return {
    net: config.net,
    async distances(pictures, wanted) {
      const [first] = pictures;
      for (const { width, height } of pictures)
        if (width !== first!.width || height !== first!.height)
          throw new RangeError(`pictures of ${first!.width}x${first!.height} and ${width}x${height} have no distance`);
      const out = new Float64Array(wanted.length);
      for (const tile of tilesOf(wanted)) {
        const used = [...new Set(tile.flatMap((n) => wanted[n]!))];
        const place = new Map(used.map((picture, i) => [picture, i]));
        const { distance } = await session.run({
          pixels: lpipsPixels(used.map((i) => pictures[i]!)),
          first: integers(
            tile.map((n) => place.get(wanted[n]![0])!),
            tile.length,
          ),
          second: integers(
            tile.map((n) => place.get(wanted[n]![1])!),
            tile.length,
          ),
        });
        for (const [i, n] of tile.entries()) out[n] = Number(distance.data[i]);
      }
      return out;
    },
    close: () => session.close(),
  };
}

/** Indices of pairs, those of the same pictures together. */
function tilesOf(pairs: readonly PicturePair[]): number[][] {
  const tiles = new Map<string, number[]>();
  for (const [n, [a, b]] of pairs.entries()) {
    const key = `${Math.floor(a / TILE)} ${Math.floor(b / TILE)}`;
    const tile = tiles.get(key);
    if (tile === undefined) tiles.set(key, [n]);
    else tile.push(n);
  }
  return [...tiles.values()];
}

/** Pictures as LPIPS takes them, from -1 to 1: [N, 3, height, width]. */
function lpipsPixels(pictures: readonly Rgb8[]) {
  const { width, height } = pictures[0]!;
  const area = width * height;
  const out = new Float32Array(pictures.length * 3 * area);
  for (const [n, { data }] of pictures.entries())
    for (let channel = 0; channel < 3; channel++)
      for (let i = 0; i < area; i++) out[(n * 3 + channel) * area + i] = (2 * data[i * 3 + channel]!) / 255 - 1;
  return floats(out, pictures.length, 3, height, width);
}
