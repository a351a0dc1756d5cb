import { afterAll, describe, expect, test } from "vitest";
import { type FloatArray, floats, integers } from "../../core/array.ts";
import { Checkpoint } from "../../graph/checkpoint.ts";
import { namedDim } from "../../graph/dim.ts";
import { input } from "../../graph/ops/source.ts";
import { Weights } from "../../graph/weights.ts";
import { decodePhoto } from "../../image/decode-photo.ts";
import { resizeFloats } from "../../image/resize-floats.ts";
import { ortRuntime } from "../../runtime/node/ort-runtime.ts";
import { goldenPath } from "../../testing/golden.ts";
import { goldenJson, goldenTensors } from "../../testing/tensors.ts";
import { clipTensors } from "../../weights/clip-names.ts";
import { openTensors } from "../../weights/open-tensors.node.ts";
import { vitTensors } from "../../weights/vit-names.ts";
import { clipImageFeatures, clipTextFeatures } from "./clip.ts";
import { clipConfig } from "./clip-config.ts";
import { inception } from "./inception.ts";
import { inceptionConfig } from "./inception-config.ts";
import { lpips, lpipsMaps } from "./lpips.ts";
import { lpipsConfig } from "./lpips-config.ts";
import { vit } from "./vit.ts";
import { vitConfig } from "./vit-config.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());

const batch = namedDim("batch");
const open = async (...parts: string[]) => (await openTensors(goldenPath("evaluate", ...parts))).tensors;
const golden = (...parts: string[]) => goldenTensors("evaluate", ...parts);

/** Rows of length 1. */
function units({ data, dims }: FloatArray): Float32Array {
  const width = dims[1]!;
  return data.map((v, i) => v / Math.hypot(...data.subarray(Math.floor(i / width) * width, (Math.floor(i / width) + 1) * width)));
}

describe("CLIP", async () => {
  const tensors = clipTensors(await open("clip", "model.safetensors"));
  const json = goldenJson("evaluate/clip/config.json");
  const expected = await golden("clip", "expected.safetensors");

  async function features(config: object) {
    const sizes = clipConfig(config, tensors);
    const checkpoint = new Checkpoint(tensors, "CLIP");
    const w = new Weights(checkpoint);
    const side = sizes.vision.image;
    const image = clipImageFeatures(input("pixels", [batch, 3, side, side]), w, sizes);
    const text = clipTextFeatures(input("ids", [batch, namedDim("tokens")], "i64"), input("pooledAt", [batch], "i64"), w, sizes);
    const pictures = await runtime.load({ image });
    const texts = await runtime.load({ text });
    const ids = await expected.integers("input_ids");
    const rows = ids.length / 77;
    const end = Array.from({ length: rows }, (_, i) => ids.slice(i * 77, (i + 1) * 77).indexOf(49407));
    return {
      image: (await pictures.run({ pixels: await expected.floats("pixel_values") })).image as FloatArray,
      text: (await texts.run({ ids: integers(ids, rows, 77), pooledAt: integers(end, rows) })).text as FloatArray,
      unused: checkpoint.unused(),
    };
  }

  test("CLIP gives the features of transformers, for pictures and for texts", async () => {
    const { image, text, unused } = await features(json);
    expect(unused.filter((name) => !name.endsWith("position_ids"))).toEqual(["logit_scale"]);
    for (const [name, found] of [
      ["image_features", image],
      ["text_features", text],
    ] as const) {
      const wanted = await expected.floats(name);
      expect(found.data).toMatchGolden(wanted.data, 1e-5, { relative: true });
      expect(units(found)).toMatchGolden(units(wanted), 5e-6);
    }
  });

  test("CLIP with exact GELU gives those of exact GELU", async () => {
    const exact = {
      ...json,
      text_config: { ...json.text_config, hidden_act: "gelu" },
      vision_config: { ...json.vision_config, hidden_act: "gelu" },
    };
    const { image, text } = await features(exact);
    expect(image.data).toMatchGolden((await expected.floats("gelu.image_features")).data, 1e-5, { relative: true });
    expect(text.data).toMatchGolden((await expected.floats("gelu.text_features")).data, 1e-5, { relative: true });
  });

  test("weights without a config are refused: they do not tell the activation", () => {
    expect(() => clipConfig(undefined, tensors)).toThrow(expect.objectContaining({ code: "network/config-needed" }));
  });
});

describe.each(["dino", "dinov2", "dinov2-registers"])("%s", async (name) => {
  const tensors = vitTensors(await open(name, "model.safetensors"))!;
  const config = vitConfig(goldenJson("evaluate", name, "config.json"), tensors);
  const expected = await golden(name, "expected.safetensors");

  async function features(pixels: FloatArray, sizes = config): Promise<FloatArray> {
    const checkpoint = new Checkpoint(tensors, name);
    const x = input("pixels", [batch, 3, pixels.dims[2]!, pixels.dims[3]!]);
    const session = await runtime.load({ features: vit(x, new Weights(checkpoint), sizes) });
    expect(checkpoint.unused().filter((path) => path !== "mask_token")).toEqual([]);
    return (await session.run({ pixels })).features as FloatArray;
  }

  test.each(["crop", "squeezed", "other"])("%s pictures give the class tokens of transformers", async (kind) => {
    const wanted = await expected.floats(`${kind}.cls`);
    const found = await features(await expected.floats(`${kind}.pixels`));
    expect(found.data).toMatchGolden(wanted.data, 1e-5, { relative: true });
    expect(units(found)).toMatchGolden(units(wanted), 1e-5);
  });

  if (expected.has("crop.cls.eps1e-6"))
    test("without a config the norms have the epsilon of the authors' code", async () => {
      const wanted = await expected.floats("crop.cls.eps1e-6");
      const found = await features(await expected.floats("crop.pixels"), { ...config, eps: 1e-6 });
      expect(found.data).toMatchGolden(wanted.data, 2e-6, { relative: true });
    });
});

describe.each(["alex", "vgg"])("LPIPS with %s", async (net) => {
  const trunk = await open("lpips", net, "trunk.safetensors");
  const config = lpipsConfig(trunk);
  const { nets, pixels: _, ...rest } = goldenJson("evaluate/lpips/expected.json");
  const cases = nets[net].cases as { pictures: [string, string]; distance: number }[];

  async function pixelsOf(names: readonly string[]): Promise<FloatArray> {
    const pictures = await Promise.all(names.map(async (name) => decodePhoto(goldenPath("evaluate/lpips", name))));
    const { width, height } = pictures[0]!;
    const out = new Float32Array(pictures.length * 3 * width * height);
    for (const [n, { data }] of pictures.entries())
      for (let i = 0; i < data.length; i++)
        out[(n * 3 + (i % 3)) * width * height + Math.floor(i / 3)] = 2 * (data[i]! / 255) - 1;
    return floats(out, pictures.length, 3, height, width);
  }

  test.each(["lin.pth", "lin.safetensors"])("distances with %s are the package's", async (lin) => {
    const weights = {
      trunk: new Weights(new Checkpoint(trunk, net)).at("features"),
      lin: new Weights(new Checkpoint(await open("lpips", net, lin), lin)),
    };
    const x = input("pixels", [batch, 3, namedDim("height"), namedDim("width")]);
    const pairs = [input("first", [namedDim("pairs")], "i64"), input("second", [namedDim("pairs")], "i64")] as const;
    const session = await runtime.load({ distance: lpips(x, pairs, weights, config) });
    for (const picture of new Set(cases.map(({ pictures }) => pictures[0]))) {
      const own = cases.filter(({ pictures }) => pictures[0] === picture);
      const names = [picture, ...own.map(({ pictures }) => pictures[1])];
      const { distance } = await session.run({
        pixels: await pixelsOf(names),
        first: integers(
          own.map(() => 0),
          own.length,
        ),
        second: integers(
          own.map((_, i) => i + 1),
          own.length,
        ),
      });
      expect(distance.data as Float32Array).toMatchGolden(
        own.map((c) => c.distance),
        1e-5,
      );
    }
    expect(rest.taps[net]).toHaveLength(5);
  });

  test("the compared maps are those behind the package's ReLUs", async () => {
    const wanted = await golden("lpips", net, "features.safetensors");
    const w = new Weights(new Checkpoint(trunk, net)).at("features");
    const maps = lpipsMaps(input("pixels", [batch, 3, namedDim("height"), namedDim("width")]), w, config);
    const session = await runtime.load(Object.fromEntries(maps.map((map, i) => [`relu${i + 1}`, map])));
    const found = await session.run({ pixels: await pixelsOf(["0a.png"]) });
    for (const [name, { data }] of Object.entries(found))
      expect(data as Float32Array).toMatchGolden((await wanted.floats(`0a.${name}`)).data, 1e-5, { relative: true });
  });
});

describe("FID's Inception", async () => {
  const tensors = await open("inception", "model.safetensors");
  const expected = await golden("inception", "expected.safetensors");

  async function features(pixels: FloatArray): Promise<Float32Array> {
    const checkpoint = new Checkpoint(tensors, "Inception");
    const x = input("pixels", [batch, 3, pixels.dims[2]!, pixels.dims[3]!]);
    const session = await runtime.load({ features: inception(x, new Weights(checkpoint), inceptionConfig(tensors)) });
    expect(checkpoint.unused()).toEqual([]);
    return (await session.run({ pixels })).features.data as Float32Array;
  }

  test("gives pytorch-fid's features, of a small picture", async () => {
    const found = await features(await expected.floats("small.pixels"));
    expect(found).toMatchGolden((await expected.floats("small.features")).data, 1e-5, { relative: true });
  });

  test.each([
    ["clean", (v: number) => (v - 128) / 128],
    ["pytorch-fid", (v: number) => (2 * v) / 255 - 1],
  ] as const)("gives the features of pictures fed as %s does", async (name, value) => {
    const { pictures } = goldenJson("evaluate/inception/expected.json") as { pictures: string[] };
    const all = await Promise.all(
      pictures.map(async (picture) =>
        resizeFloats(await decodePhoto(goldenPath("evaluate/inception", picture)), 299, 299, "bicubic"),
      ),
    );
    const data = Float32Array.from(all.flatMap((one) => Array.from(one, value)));
    const found = await features(floats(data, all.length, 3, 299, 299));
    expect(found).toMatchGolden((await expected.floats(`features.${name}`)).data, 1e-5, { relative: true });
  });
});
