import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FloatArray, floats } from "../../core/array.ts";
import { clipPreprocess } from "../../image/clip-preprocess.ts";
import { decodePhoto } from "../../image/decode-photo.ts";
import { imagenetPreprocess } from "../../image/imagenet-preprocess.ts";
import { type Rgb8, rgb8 } from "../../image/rgb8.ts";
import { ortRuntime } from "../../runtime/node/ort-runtime.ts";
import { goldenPath } from "../../testing/golden.ts";
import { goldenJson, goldenTensors } from "../../testing/tensors.ts";
import { clipI } from "../measures/clip-i.ts";
import { clipT } from "../measures/clip-t.ts";
import { pairsOf } from "../measures/face-diversity.ts";
import { cosineOf } from "../measures/vectors.ts";
import { mean } from "../statistics/moments.ts";
import { inBatches } from "./batches.ts";
import { openClip } from "./open-clip.node.ts";
import { openDino } from "./open-dino.node.ts";
import { openInception } from "./open-inception.node.ts";
import { openLpips } from "./open-lpips.node.ts";

const runtime = ortRuntime({ threads: 1 });
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "networks-"));
});
afterAll(async () => {
  await runtime.close();
  await rm(folder, { recursive: true });
});

const path = (...parts: string[]): string => goldenPath("evaluate", ...parts);
/** Folder of a golden network. */
const at = (name: string): string => path(name, "config.json").replace(/config\.json$/, "");
const open = (group: string, names: readonly string[]): Promise<Rgb8[]> =>
  Promise.all(names.map((name) => decodePhoto(path(group, name))));
const PICTURES = ["../pictures/0.png", "../pictures/1.png", "../pictures/2.png", "../pictures/3.png"];

describe("CLIP", () => {
  const expected = goldenJson("evaluate/clip/expected.json");

  test("CLIP-T and CLIP-I of pictures and prompts are the recorded ones, and a prompt that is cut is named", async () => {
    const clip = await openClip(at("clip"), runtime);
    const pictures = await open("clip", expected.pictures);
    const images = await clip.features(pictures);
    const { features: texts, notices } = await clip.texts(expected.prompts);
    const wanted = expected["CLIP-T of picture i with prompt i modulo their number, times 100"] as number[];
    expect(images.map((image, i) => clipT(image, texts[i % texts.length]!))).toMatchGolden(wanted, 5e-4);
    const pairs = pairsOf([...images.keys()]).map(([a, b]) => clipI(images[a]!, [images[b]!]));
    expect(Math.abs(mean(pairs) - expected["CLIP-I, mean over pairs of different pictures, times 100"])).toBeLessThan(5e-4);
    const tensors = await goldenTensors("evaluate/clip/expected.safetensors");
    expect(images.flatMap((a) => texts.map((b) => cosineOf(a, b)))).toMatchGolden(
      (await tensors.floats("cosine_image_text")).data,
      5e-6,
    );
    expect(notices.map(({ code }) => code)).toEqual(["prompt/cut"]);
    expect(clip.logitScale).toBeCloseTo(100, 0);
    await clip.close();
  });

  test("pixels are those of transformers", async () => {
    const pictures = await open("clip", expected.pictures);
    const { data } = await (await goldenTensors("evaluate/clip/expected.safetensors")).floats("pixel_values");
    const side = expected.preprocess.crop as number;
    const found = await Promise.all(pictures.map((picture) => clipPreprocess(picture, side)));
    expect(found.flatMap((one) => Array.from(one))).toMatchGolden(data, 1e-6);
  });

  test("one file with its config beside it is the same CLIP as the folder; without a config it is refused", async () => {
    const file = join(folder, "clip.weights");
    await copyFile(path("clip", "model.safetensors"), file);
    await expect(openClip(file, runtime)).rejects.toMatchObject({ code: "network/config-needed" });
    await copyFile(path("clip", "config.json"), join(folder, "config.json"));
    const [one, other] = [await openClip(file, runtime), await openClip(at("clip"), runtime)];
    const pictures = await open("clip", PICTURES.slice(0, 2));
    expect(await one.features(pictures)).toEqual(await other.features(pictures));
  });
});

describe.each(["dino", "dinov2", "dinov2-registers"])("%s", (name) => {
  const { models, crop: _ } = goldenJson("evaluate/dino/expected.json");

  test("pictures are cut as the authors do, and give the recorded cosines", async () => {
    const expected = await goldenTensors("evaluate", name, "expected.safetensors");
    const pictures = await open("clip", goldenJson("evaluate/clip/expected.json").pictures);
    const pixels = pictures.flatMap((picture) => Array.from(imagenetPreprocess(picture, models[name].crop[1])));
    expect(pixels).toMatchGolden((await expected.floats("crop.pixels")).data, 1e-6);
    const network = await openDino(at(name), runtime);
    const features = await network.features(pictures);
    const cosines = features.flatMap((a) => features.map((b) => cosineOf(a, b)));
    expect(cosines).toMatchGolden((await expected.floats("crop.cosine")).data, 5e-6);
    await network.close();
  });
});

test("a config beside a file that is of another network does not count", async () => {
  await writeFile(join(folder, "config.json"), JSON.stringify({ model_type: "clip", num_attention_heads: 5 }));
  const file = join(folder, "dino.weights");
  await copyFile(path("dino", "model.safetensors"), file);
  // its width of 24 does not show the number of heads, as those of published models do
  await expect(openDino(file, runtime)).rejects.toMatchObject({ code: "network/config-needed" });
});

describe.each(["alex", "vgg"])("LPIPS with %s", (net) => {
  const expected = goldenJson("evaluate/lpips/expected.json");
  const paths = { trunk: path("lpips", net, "trunk.safetensors"), lin: path("lpips", net, "lin.pth") };

  test("distances of pairs are the package's, a picture in however many pairs", async () => {
    const lpips = await openLpips(paths, runtime);
    expect(lpips.net).toBe(net);
    const cases = expected.nets[net].cases as { pictures: [string, string]; distance: number }[];
    for (const first of ["0a.png", "1a.png"]) {
      const own = cases.filter(({ pictures }) => pictures[0] === first);
      const names = [...new Set(own.flatMap(({ pictures }) => pictures))];
      const pairs = own.map(({ pictures }) => pictures.map((name) => names.indexOf(name)) as [number, number]);
      expect(await lpips.distances(await open("lpips", names), pairs)).toMatchGolden(
        own.map((c) => c.distance),
        1e-5,
      );
    }
    await lpips.close();
  });

  if (net === expected["face diversity"].net)
    test("face diversity is the recorded mean over pairs", async () => {
      const lpips = await openLpips(paths, runtime);
      const crops = await open("lpips", expected["face diversity"].crops);
      // many copies, so that pairs fall into several tiles: distances of copies are 0
      const many = Array.from({ length: 4 }, () => crops).flat();
      const all = await lpips.distances(many, pairsOf([...many.keys()]));
      const wanted = expected["face diversity"]["mean over the pairs"] as number;
      expect(mean([...(await lpips.distances(crops, pairsOf([...crops.keys()])))])).toBeCloseTo(wanted, 5);
      expect(all.reduce((a, b) => a + b, 0)).toBeCloseTo(wanted * 3 * 16, 3);
    });

  test("pictures of other sizes have no distance", async () => {
    const lpips = await openLpips(paths, runtime);
    await expect(
      lpips.distances([rgb8(64, 64, new Uint8Array(12288)), rgb8(64, 65, new Uint8Array(12480))], [[0, 1]]),
    ).rejects.toThrow("pictures of 64x64 and 64x65 have no distance");
  });
});

test("Inception takes pictures of any size and gives clean-fid's features", async () => {
  const { pictures } = goldenJson("evaluate/inception/expected.json");
  const expected = await goldenTensors("evaluate/inception/expected.safetensors");
  const network = await openInception(path("inception", "model.safetensors"), runtime);
  const features = await network.features(await open("inception", pictures));
  expect(features.flatMap((row) => Array.from(row))).toMatchGolden((await expected.floats("features.clean")).data, 1e-5, {
    relative: true,
  });
});

test.each([
  ["a CLIP", () => openClip(path("inception", "model.safetensors"), runtime), "a whole CLIP"],
  ["a DINO", () => openDino(path("lpips", "alex", "trunk.safetensors"), runtime), "no class token"],
  ["an Inception", () => openInception(path("dino", "model.safetensors"), runtime), "Conv2d_1a_3x3"],
  [
    "a trunk",
    () => openLpips({ trunk: path("dino", "model.safetensors"), lin: path("lpips", "alex", "lin.pth") }, runtime),
    "AlexNet or VGG-16",
  ],
  [
    "weights of channels",
    () => openLpips({ trunk: path("lpips", "alex", "trunk.safetensors"), lin: path("dino", "model.safetensors") }, runtime),
    "lin0",
  ],
])("a network of the wrong kind is refused where %s is wanted", async (_, opening, what) => {
  await expect(opening()).rejects.toMatchObject({ code: "network/wrong-kind", message: expect.stringContaining(what) });
});

test("a folder without weights, and weights of channels of another trunk", async () => {
  const empty = await mkdtemp(join(folder, "empty-"));
  await expect(openDino(empty, runtime)).rejects.toMatchObject({ code: "network/no-weights" });
  const mixed = { trunk: path("lpips", "alex", "trunk.safetensors"), lin: path("lpips", "vgg", "lin.pth") };
  await expect(openLpips(mixed, runtime)).rejects.toMatchObject({ code: "weights/shape" });
});

test("features that are no numbers are refused", async () => {
  const run = async (pixels: FloatArray) =>
    floats(
      pixels.data.map((v) => 1 / v),
      ...pixels.dims,
    );
  const how = { batch: 2, pixelsOf: (value: number) => Float32Array.of(value, 1), run };
  expect(await inBatches([1, 2, 4], [2], how)).toEqual([
    Float32Array.of(1, 1),
    Float32Array.of(0.5, 1),
    Float32Array.of(0.25, 1),
  ]);
  await expect(inBatches([1, 2, 0], [2], how)).rejects.toMatchObject({
    code: "output/nan",
    message: expect.stringContaining("picture 3"),
  });
});
