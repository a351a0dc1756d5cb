import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  SparseTensorProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
} from "../../graph/onnx/onnx_pb.ts";
import { decodePhoto } from "../../image/decode-photo.ts";
import { rgb8 } from "../../image/rgb8.ts";
import { goldenPath, hasGolden } from "../../testing/golden.ts";
import { makeZip } from "../../testing/made-files.ts";
import { goldenJson, goldenTensors } from "../../testing/tensors.ts";
import type { FivePoints } from "../face.ts";
import { networkPixels } from "../networks/network-pixels.ts";
import { scrfdFaces } from "../networks/scrfd-faces.ts";
import { openFacePack } from "./open-pack.node.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "face-pack-"));
});
afterAll(() => rm(folder, { recursive: true }));

const DETECTOR = "scrfd_10g_bnkps.onnx";
const RECOGNISER = "glintr100.onnx";
const golden = (file: string) => readFile(goldenPath("faces", ...file.split("/")));

/** A folder of these files, in place of those of a whole pack; undefined leaves one out. */
let packs = 0;
async function packOf(files: Record<string, Uint8Array | undefined>, within = ""): Promise<string> {
  const whole: Record<string, Uint8Array | undefined> = {
    [DETECTOR]: await golden("scrfd/model.onnx"),
    [RECOGNISER]: await golden("arcface/model.onnx"),
    ...files,
  };
  const path = join(folder, `${packs++}`);
  await mkdir(join(path, within), { recursive: true });
  for (const [name, bytes] of Object.entries(whole)) if (bytes !== undefined) await writeFile(join(path, within, name), bytes);
  return path;
}

/** The golden model with something changed in it. */
async function changed(file: string, change: (model: ModelProto) => void): Promise<Uint8Array> {
  const model = fromBinary(ModelProtoSchema, await golden(file));
  change(model);
  return toBinary(ModelProtoSchema, model);
}

/** The golden pictures that are at hand: one is only in the full set. */
const CASES: { index: number; picture: string; landmarks: FivePoints }[] = goldenJson("faces", "align", "expected.json")
  .cases.map((each: object, index: number) => ({ ...each, index }))
  .filter(({ picture }: { picture: string }) => hasGolden("faces", "align", picture));

/** The vectors that a pack gives for the faces of the golden pictures, one after the other. */
async function vectors(path: string, count = CASES.length): Promise<number[]> {
  const pack = await openFacePack(path, { threads: 1 });
  const all: number[] = [];
  for (const { picture, landmarks } of CASES.slice(0, count))
    all.push(...(await pack.embed(await decodePhoto(goldenPath("faces", "align", picture)), landmarks)));
  await pack.unload();
  return all;
}

async function expectedVectors(group: string, name: string): Promise<number[]> {
  const { data, dims } = await (await goldenTensors("faces", group, "expected.safetensors")).floats(name);
  return CASES.flatMap(({ index }) => [...data.subarray(index * dims[1]!, (index + 1) * dims[1]!)]);
}

describe("a recogniser's vector is raw, of the crop that its five points give", () => {
  // the crop's rounding may be one level off here and there, which the vector shows
  test.each([
    ["ArcFace's file", "arcface/model.onnx", "embedding"],
    ["a file that normalises by itself", "arcface/model-inner.onnx", "inner.embedding"],
    ["SFace's file, as OpenCV computes it", "sface/model.onnx", "features"],
  ])("from %s", async (_, file, name) => {
    const path = await packOf({ [RECOGNISER]: await golden(file) });
    const expected = await expectedVectors(file.split("/")[0]!, name);
    expect(await vectors(path)).toMatchGolden(expected, 2e-3, { relative: true });
  });
});

interface Case {
  readonly threshold: number;
  readonly overlap: number;
}

describe("a detector's faces are InsightFace's", () => {
  test("of pictures whose sides are those of its input", async () => {
    // those with InsightFace's own limits
    const { cases } = goldenJson("faces", "scrfd", "expected.json");
    const own = cases.filter((each: Case) => each.threshold === 0.5 && each.overlap === 0.4);
    expect(own.length).toBeGreaterThan(0);
    for (const each of own) {
      const [width, height] = each["input size"];
      const fixed = await changed("scrfd/model.onnx", ({ graph }) => {
        const { shape } = graph!.input[0]!.type!.value.value as { shape?: { dim: { value: unknown }[] } };
        shape!.dim[2]!.value = { case: "dimValue", value: BigInt(height) };
        shape!.dim[3]!.value = { case: "dimValue", value: BigInt(width) };
      });
      const pack = await openFacePack(await packOf({ [DETECTOR]: fixed }), { threads: 1 });
      const faces = await pack.detect(await decodePhoto(goldenPath("faces", "scrfd", each.picture)));
      await pack.unload();
      const expected = (await goldenTensors("faces", "scrfd", each.picture.replace("png", "safetensors"))).floats("faces");
      const rows = [...(await expected).data];
      expect(faces).toHaveLength(each.faces);
      for (const [i, { box, points, score }] of faces.entries()) {
        const row = rows.slice(i * 15, (i + 1) * 15);
        const numbers = [box.left, box.top, box.right, box.bottom, ...points.flat()];
        expect(score).toBeCloseTo(row[0]!, 4);
        expect(numbers).toMatchGolden(row.slice(1), 1e-3);
      }
    }
  });

  test("of any picture, at 640 pixels and, if there are none, at fewer", async () => {
    const pack = await openFacePack(await packOf({}), { threads: 1 });
    const picture = await decodePhoto(goldenPath("faces", "scrfd", "0.png"));
    const faces = await pack.detect(picture);
    expect(faces.length).toBeGreaterThan(0);
    for (const { score } of faces) expect(score).toBeGreaterThanOrEqual(0.5);
    expect(faces.map(({ score }) => score)).toEqual(faces.map(({ score }) => score).sort((a, b) => b - a));
    await expect(pack.detect(picture, AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
    await pack.unload();
    expect(await pack.detect(picture)).toEqual(faces); // loads again
    await pack.unload();
  });
});

test("the terms of the packs are said, and how long a vector is", async () => {
  const { notice, width } = await openFacePack(await packOf({}));
  expect(notice.code).toBe("face-pack/licence");
  expect(notice.message).toContain("non-commercial research");
  expect(width).toBe(32);
});

describe("a pack is opened", () => {
  test("from a folder within a folder, beside networks of other kinds and notes of the Finder", async () => {
    const other = await changed("arcface/model.onnx", ({ graph }) => {
      const { shape } = graph!.input[0]!.type!.value.value as { shape?: { dim: { value: unknown }[] } };
      for (const i of [2, 3]) shape!.dim[i]!.value = { case: "dimValue", value: 192n };
    });
    const path = await packOf(
      { "1k3d68.onnx": other, "2d106det.onnx": Uint8Array.of(1, 2, 3), [`._${RECOGNISER}`]: Uint8Array.of(0) },
      "antelopev2/antelopev2",
    );
    expect(await vectors(path, 1)).toHaveLength(32);
  });

  test("from a zip, packed or stored, and equal to the folder", async () => {
    const path = join(folder, "antelopev2.zip");
    const files = {
      "antelopev2/": new Uint8Array(),
      [`__MACOSX/antelopev2/._${RECOGNISER}`]: Uint8Array.of(0),
      [`antelopev2/${DETECTOR}`]: await golden("scrfd/model.onnx"),
      [`antelopev2/${RECOGNISER}`]: await golden("arcface/model.onnx"),
    };
    await writeFile(
      path,
      makeZip(Object.entries(files).map(([name, data]) => ({ name, data, deflate: name.endsWith(RECOGNISER) }))),
    );
    expect(await vectors(path, 1)).toEqual(await vectors(await packOf({}), 1));
  });

  test("whatever its files are called", async () => {
    const path = await packOf({
      [DETECTOR]: undefined,
      [RECOGNISER]: undefined,
      "a.onnx": await golden("arcface/model.onnx"),
      "b.ONNX": await golden("scrfd/model.onnx"),
    });
    expect(await vectors(path, 1)).toHaveLength(32);
  });
});

describe("a bad pack is refused", () => {
  const custom = (change: (model: ModelProto) => void) => changed("arcface/model.onnx", change);
  const tensor = (model: ModelProto) => model.graph!.initializer[0]!;
  const sizes = (model: ModelProto, which: "input" | "output", dims: readonly bigint[]) => {
    const { shape } = model.graph![which][0]!.type!.value.value as { shape?: { dim: { value: unknown }[] } };
    for (const [i, value] of dims.entries()) shape!.dim[i]!.value = { case: "dimValue", value };
  };

  test.each<[string, string, string, () => Promise<Uint8Array | undefined>, RegExp]>([
    ["no detector", "face-pack/no-detector", DETECTOR, async () => undefined, /no detector.*glintr100.onnx: the recogniser/],
    ["no recogniser", "face-pack/no-recogniser", RECOGNISER, async () => undefined, /scrfd_10g_bnkps.onnx: the detector/],
    ["a detector in the recogniser's place", "face-pack/shapes", RECOGNISER, () => golden("yunet/0.onnx"), /12 outputs/],
    [
      "a recogniser of another size",
      "face-pack/shapes",
      RECOGNISER,
      () => custom((m) => sizes(m, "input", [1n, 3n, 128n, 128n])),
      /\[1, 3, 128, 128\] is not an aligned face of 112 x 112/,
    ],
    [
      "a recogniser that takes grey pictures",
      "face-pack/shapes",
      RECOGNISER,
      () => custom((m) => sizes(m, "input", [1n, 1n])),
      /is no picture/,
    ],
    [
      "a recogniser with two inputs",
      "face-pack/shapes",
      RECOGNISER,
      () => custom(({ graph }) => graph!.input.push({ ...graph!.input[0]!, name: "second" })),
      /2 inputs/,
    ],
    [
      "a detector without points",
      "face-pack/shapes",
      DETECTOR,
      () => changed("scrfd/model.onnx", ({ graph }) => graph!.output.splice(6)),
      /gives no points/,
    ],
    [
      "an operation of another domain",
      "face-pack/custom-operations",
      RECOGNISER,
      () => custom(({ graph }) => (graph!.node[3]!.domain = "com.example")),
      /uses the operation .* of "com.example"/,
    ],
    [
      "ONNX Runtime's own additions",
      "face-pack/custom-operations",
      RECOGNISER,
      () => custom(({ graph }) => (graph!.node[3]!.domain = "com.microsoft")),
      /com.microsoft/,
    ],
    [
      "functions",
      "face-pack/custom-operations",
      RECOGNISER,
      () => custom((m) => m.functions.push(create(FunctionProtoSchema, { name: "f", domain: "" }))),
      /operations of its own/,
    ],
    [
      "a loop",
      "face-pack/custom-operations",
      DETECTOR,
      () =>
        changed("scrfd/model.onnx", ({ graph }) => {
          const body = create(AttributeProtoSchema, { name: "body", type: AttributeProto_AttributeType.GRAPH });
          body.g = create(GraphProtoSchema, { name: "g" });
          graph!.node.push(create(NodeProtoSchema, { opType: "Loop", output: ["never"], attribute: [body] }));
        }),
      /Loop has a graph within/,
    ],
    [
      "sparse weights",
      "face-pack/custom-operations",
      RECOGNISER,
      () => custom(({ graph }) => graph!.sparseInitializer.push(create(SparseTensorProtoSchema, { dims: [1n] }))),
      /sparse/,
    ],
    [
      "weights in another file",
      "face-pack/external-data",
      RECOGNISER,
      () =>
        custom((m) => {
          tensor(m).externalData = [create(StringStringEntryProtoSchema, { key: "location", value: "/etc/passwd" })];
        }),
      /another file/,
    ],
    [
      "weights that are said to be elsewhere",
      "face-pack/external-data",
      RECOGNISER,
      () => custom((m) => (tensor(m).dataLocation = TensorProto_DataLocation.EXTERNAL)),
      /another file/,
    ],
    [
      "a constant in another file",
      "face-pack/external-data",
      DETECTOR,
      () =>
        changed("scrfd/model.onnx", ({ graph }) => {
          const { t } = graph!.node.find(({ opType }) => opType === "Constant")!.attribute[0]!;
          t!.dataLocation = TensorProto_DataLocation.EXTERNAL;
        }),
      /another file/,
    ],
    [
      "a page that was saved in the place of a file",
      "face-pack/not-onnx",
      DETECTOR,
      async () => Buffer.from("<html>404</html>"),
      /./,
    ],
    ["an empty file", "face-pack/not-onnx", RECOGNISER, async () => new Uint8Array(), /no graph/],
    [
      "a file that is cut off",
      "face-pack/not-onnx",
      RECOGNISER,
      async () => (await golden("arcface/model.onnx")).subarray(0, 50_000),
      /beyond the end|cut off/,
    ],
    ["zeros", "face-pack/not-onnx", RECOGNISER, async () => new Uint8Array(4096), /field 0/],
  ])("with %s: %s", async (_, code, file, bytes, said) => {
    const path = await packOf({ [file]: await bytes() });
    await expect(openFacePack(path)).rejects.toMatchObject({ name: "UserError", code, message: expect.stringMatching(said) });
  });

  test("a note of the Finder is no recogniser", async () => {
    const path = await packOf({ [RECOGNISER]: undefined, [`._${RECOGNISER}`]: Uint8Array.of(0) });
    await expect(openFacePack(path)).rejects.toMatchObject({ code: "face-pack/no-recogniser" });
  });

  test("with an operation that ONNX does not know, or weights of other sizes, when it is loaded", async () => {
    for (const change of [
      ({ graph }: ModelProto) => {
        graph!.node[2]!.opType = "NoSuchOperation";
      },
      ({ graph }: ModelProto) => {
        graph!.initializer[0]!.dims[0] = 5n;
      },
    ]) {
      const path = await packOf({ [RECOGNISER]: await custom(change) });
      await expect(vectors(path, 1)).rejects.toMatchObject({ code: "face-pack/failed", message: expect.stringContaining(path) });
    }
  });

  test("with outputs of other sizes than it says, when it runs", async () => {
    const path = await packOf({ [RECOGNISER]: await custom((m) => sizes(m, "output", [1n, 512n])) });
    const error = await vectors(path, 1).catch((e) => e);
    expect(["face-pack/shapes", "face-pack/failed"]).toContain(error.code);
    const detector = await changed("scrfd/model.onnx", ({ graph }) => {
      const [a, b] = [graph!.output[0]!.name, graph!.output[1]!.name];
      graph!.output[0]!.name = b;
      graph!.output[1]!.name = a;
    });
    const pack = await openFacePack(await packOf({ [DETECTOR]: detector }));
    await expect(pack.detect(rgb8(64, 64, new Uint8Array(64 * 64 * 3)))).rejects.toMatchObject({ code: "face-pack/shapes" });
    await pack.unload();
  });

  test("that is a damaged zip, a file of another kind, one network alone, an empty folder or a folder with the zip in it", async () => {
    const whole = makeZip([
      { name: DETECTOR, data: await golden("scrfd/model.onnx") },
      { name: RECOGNISER, data: await golden("arcface/model.onnx") },
    ]);
    const cut = join(folder, "cut.zip");
    await writeFile(cut, whole.subarray(0, 30_000));
    await expect(openFacePack(cut)).rejects.toMatchObject({ code: "zip/truncated" });
    const flipped = join(folder, "flipped.zip");
    const bytes = Uint8Array.from(whole);
    bytes[10_000]! ^= 255;
    await writeFile(flipped, bytes);
    await expect(openFacePack(flipped)).rejects.toMatchObject({ code: "zip/corrupt" });
    await expect(openFacePack(goldenPath("faces", "arcface", "model.safetensors"))).rejects.toMatchObject({
      code: "face-pack/not-a-pack",
    });
    await expect(openFacePack(join(await packOf({}), RECOGNISER))).rejects.toMatchObject({
      code: "face-pack/not-a-pack",
      remedy: expect.stringContaining("the folder that holds both"),
    });
    const empty = await packOf({ [DETECTOR]: undefined, [RECOGNISER]: undefined });
    await expect(openFacePack(empty)).rejects.toMatchObject({ code: "face-pack/not-a-pack" });
    await writeFile(join(empty, "antelopev2.zip"), whole);
    await expect(openFacePack(empty)).rejects.toMatchObject({ remedy: expect.stringContaining("antelopev2.zip") });
    await expect(openFacePack(join(folder, "nowhere"))).rejects.toMatchObject({ code: "file/missing" });
  });

  test("whose file is far too large, before it is read", async () => {
    const { readOnnxHeader } = await import("./onnx-header.ts");
    const file = { id: "huge.onnx", size: 2 ** 31, read: async () => expect.unreachable() as never };
    await expect(readOnnxHeader(file)).rejects.toMatchObject({ code: "face-pack/too-large" });
  });
});

test("the fitted picture and the network's raw outputs are the golden ones", async () => {
  const { fitted } = await import("./fit.ts");
  for (const each of goldenJson("faces", "scrfd", "expected.json").cases) {
    const [width, height] = each["input size"];
    const { input, scale } = fitted(await decodePhoto(goldenPath("faces", "scrfd", each.picture)), width, height);
    expect(scale).toBeCloseTo(each.scale, 9);
    const expected = await decodePhoto(goldenPath("faces", "scrfd", each.input));
    expect(Array.from(input.data)).toMatchGolden(expected.data, 0);
  }
  expect(networkPixels(rgb8(1, 1, Uint8Array.of(0, 127, 255)), { mean: 127.5, spread: 128 }).data[2]).toBeCloseTo(127.5 / 128);
  expect(scrfdFaces([EMPTY, EMPTY, EMPTY], 64, 1, { threshold: 0.5, overlap: 0.4 })).toEqual([]);
});
const EMPTY = { score: [], bbox: [], kps: [] };
