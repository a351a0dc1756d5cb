import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { floatsToHalves } from "../core/floats.ts";
import { goldenPath } from "../testing/golden.ts";
import { type GgufTensor, type GgufValue, inBlocks, makeGguf } from "../testing/made-gguf.ts";
import { allMade, type Made, safetensorsOf, single, small, valuesIn } from "../testing/number-formats.ts";
import { singleFileBytes, singleFileHeader } from "../testing/single-file.ts";
import { MAN_WITH_HAT, TINY_V1 } from "../testing/tiny-model.ts";
import { openTensors } from "../weights/open-tensors.node.ts";
import { PhotoMaker } from "./photomaker.ts";

let folder: string;
/** The tiny model as a single file. */
let checkpoint: Map<string, Made>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "formats-"));
  const bytes = await singleFileBytes();
  checkpoint = new Map([...bytes].map(([name, data]) => [name, { dtype: "F16", shape: singleFileHeader[name]![1], data }]));
});
afterAll(() => rm(folder, { recursive: true }));

const write = async (name: string, tensors: ReadonlyMap<string, Made>): Promise<string> => {
  const path = join(folder, `${name}.safetensors`);
  await writeFile(path, safetensorsOf(tensors));
  return path;
};

const CONFIG = { modelConfig: goldenPath("tiny-sdxl") };

async function pictureOf(load: Parameters<typeof PhotoMaker.load>[0]): Promise<Uint8Array> {
  const pm = await PhotoMaker.load(load);
  try {
    const { images } = await pm.generate(
      load.adapter === undefined
        ? { prompt: "a man with a hat", width: 64, height: 64, numInferenceSteps: 2, seed: 1 }
        : { ...MAN_WITH_HAT, numInferenceSteps: 2 },
    );
    return new Uint8Array(await sharp(images[0]!.png).raw().toBuffer());
  } finally {
    await pm.close();
  }
}

const largestDifference = (a: Uint8Array, b: Uint8Array): number =>
  a.length === b.length ? a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0) : Number.POSITIVE_INFINITY;

/** A checkpoint whose tensors are stored otherwise, and the same numbers in float32. */
async function both(store: (name: string, tensor: Made) => Promise<Map<string, Made>>, numbers: typeof store) {
  const [odd, equal] = [new Map<string, Made>(), new Map<string, Made>()];
  for (const [name, tensor] of checkpoint) {
    for (const [key, made] of await store(name, tensor)) odd.set(key, made);
    for (const [key, made] of await numbers(name, tensor)) equal.set(key, made);
  }
  return { odd, equal };
}

const inFloat32 = async ({ shape, ...tensor }: Made): Promise<Made> => single([...(await valuesIn({ shape, ...tensor }))], shape);

test.each(["F8_E4M3", "F8_E5M2"] as const)(
  "a checkpoint whose every tensor is %s is drawn as its numbers in float32",
  async (dtype) => {
    const cast = async (tensor: Made) => small(tensor.shape, await valuesIn(tensor), dtype);
    const { odd, equal } = await both(
      async (name, tensor) => new Map([[name, await cast(tensor)]]),
      async (name, tensor) => new Map([[name, await inFloat32(await cast(tensor))]]),
    );
    const got = await pictureOf({ model: await write(dtype, odd), ...CONFIG });
    const want = await pictureOf({ model: await write(`${dtype}-equal`, equal), ...CONFIG });
    expect(largestDifference(got, want)).toBeLessThanOrEqual(1);
  },
);

test("a checkpoint in bfloat16 is drawn as its numbers in float32, in int8 too", async () => {
  const cast = async (tensor: Made): Promise<Made> => {
    const data = new Uint8Array(floatsToBfloats(await valuesIn(tensor)).buffer);
    return { dtype: "BF16", shape: tensor.shape, data };
  };
  const { odd, equal } = await both(
    async (name, tensor) => new Map([[name, await cast(tensor)]]),
    async (name, tensor) => new Map([[name, await inFloat32(await cast(tensor))]]),
  );
  const got = await pictureOf({ model: await write("BF16", odd), ...CONFIG, precision: "int8" });
  const want = await pictureOf({ model: await write("BF16-equal", equal), ...CONFIG, precision: "int8" });
  expect(largestDifference(got, want)).toBeLessThanOrEqual(1);
});

interface Spelling {
  readonly name: string;
  readonly dtype: "F8_E4M3" | "I8";
  readonly scale: string;
  readonly perRow?: boolean;
  readonly beside?: (layer: string) => [string, Made][];
  readonly mark?: [string, Made];
}

const note = (text: string): Made => {
  const data = new TextEncoder().encode(text);
  return { dtype: "U8", shape: [data.length], data };
};

const SPELLINGS: readonly Spelling[] = [
  {
    name: "old names",
    dtype: "F8_E4M3",
    scale: "scale_weight",
    beside: (layer) => [[`${layer}scale_input`, single([0.5])]],
    mark: ["model.diffusion_model.scaled_fp8", { dtype: "F8_E4M3", shape: [0], data: new Uint8Array() }],
  },
  {
    name: "new names",
    dtype: "F8_E4M3",
    scale: "weight_scale",
    beside: (layer) => [
      [`${layer}comfy_quant`, note('{"format": "float8_e4m3fn"}')],
      [`${layer}input_scale`, single([0.5])],
    ],
  },
  { name: "a scale for each row", dtype: "F8_E4M3", scale: "weight_scale", perRow: true },
  { name: "integers with a scale for each row", dtype: "I8", scale: "weight_scale", perRow: true },
];

const isLayer = (name: string, { shape }: Made): boolean =>
  /^(model\.diffusion_model|conditioner)\..*weight$/.test(name) && shape.length === 2;

/** A layer's weight and its scales. */
async function scaledLayer(tensor: Made, { dtype, perRow }: Spelling): Promise<{ weight: Made; scales: number[] }> {
  const values = await valuesIn(tensor);
  const rows = perRow ? tensor.shape[0]! : 1;
  const row = values.length / rows;
  const scales = Array.from({ length: rows }, (_, i) =>
    Math.fround(
      values.subarray(i * row, (i + 1) * row).reduce((most, x) => Math.max(most, Math.abs(x)), 1e-6) /
        (dtype === "I8" ? 127 : 448),
    ),
  );
  const divided = values.map((x, i) => x / scales[Math.floor(i / row)]!);
  const weight: Made =
    dtype === "I8"
      ? { dtype, shape: tensor.shape, data: new Uint8Array(Int8Array.from(divided, Math.round).buffer) }
      : small(tensor.shape, divided, dtype);
  return { weight, scales };
}

const numbersOf = async (weight: Made): Promise<Float32Array> =>
  weight.dtype === "I8" ? Float32Array.from(new Int8Array(weight.data.buffer)) : valuesIn(weight);

test.each(SPELLINGS)("scaled numbers are computed with their scales: $name", async (spelling) => {
  const { odd, equal } = await both(
    async (name, tensor) => {
      if (!isLayer(name, tensor)) return new Map([[name, tensor]]);
      const { weight, scales } = await scaledLayer(tensor, spelling);
      const layer = name.slice(0, -"weight".length);
      return new Map([
        [name, weight],
        [`${layer}${spelling.scale}`, single(scales, spelling.perRow ? [scales.length, 1] : [])],
        ...((layer.endsWith(".") && spelling.beside?.(layer)) || []),
      ]);
    },
    async (name, tensor) => {
      if (!isLayer(name, tensor)) return new Map([[name, await inFloat32(tensor)]]);
      const { weight, scales } = await scaledLayer(tensor, spelling);
      const numbers = await numbersOf(weight);
      const row = numbers.length / scales.length;
      return new Map([[name, single([...numbers.map((x, i) => x * scales[Math.floor(i / row)]!)], tensor.shape)]]);
    },
  );
  if (spelling.mark) odd.set(...spelling.mark);
  const model = await write(`scaled-${spelling.name}`, odd);
  const pm = await PhotoMaker.load({ model, ...CONFIG });
  const said = pm.notices.map(({ code }) => code);
  await pm.close();
  expect(said).not.toContain("model/unknown-names");
  const got = await pictureOf({ model, ...CONFIG });
  const want = await pictureOf({ model: await write(`equal-${spelling.name}`, equal), ...CONFIG });
  expect(largestDifference(got, want)).toBeLessThanOrEqual(1);
});

const PLAIN = { F32: 0, F16: 1, BF16: 30 } as const;
const BLOCKS = { Q4_1: 3, Q8_0: 8 } as const;

/**
 * Tensors in GGUF as ComfyUI-GGUF's converter chooses: layers in blocks, those flattened whose rows are no whole blocks, vectors in float32, the
 * rest in half precision or bfloat16; and the same numbers in float32.
 */
async function inGguf(tensors: ReadonlyMap<string, Made>, format: keyof typeof BLOCKS, plain: "F16" | "BF16") {
  const made: GgufTensor[] = [];
  const shapes: Record<string, GgufValue> = {};
  const equal = new Map<string, Made>();
  let flattened = 0;
  for (const [name, tensor] of tensors) {
    const { shape } = tensor;
    const values = await valuesIn(tensor);
    const flat = shape.at(-1)! % 32 !== 0 && values.length % 256 === 0;
    if (shape.length > 1 && (shape.at(-1)! % 32 === 0 || flat)) {
      const { data, values: worth } = inBlocks(values, format);
      if (flat) shapes[`comfy.gguf.orig_shape.${name}`] = shape;
      if (flat) flattened++;
      made.push({ name, type: BLOCKS[format], shape: flat ? [values.length / 256, 256] : shape, data });
      equal.set(name, single([...worth], shape));
      continue;
    }
    const type = shape.length > 1 ? plain : "F32";
    const stored =
      type === "F32"
        ? single([...values], shape)
        : {
            dtype: type,
            shape,
            data: new Uint8Array((type === "F16" ? floatsToHalves(values) : floatsToBfloats(values)).buffer),
          };
    made.push({ name, type: PLAIN[type], shape, data: stored.data });
    equal.set(name, await inFloat32(stored));
  }
  return { made, shapes, equal, flattened };
}

/** The upper halves of float32 numbers. */
const floatsToBfloats = (values: Float32Array): Uint16Array =>
  Uint16Array.from(new Uint32Array(Float32Array.from(values).buffer), (bits) => bits >>> 16);

test.each([
  ["Q8_0", "F16", "f32"],
  ["Q8_0", "BF16", "int8"],
  ["Q4_1", "F16", "f32"],
] as const)(
  "a whole checkpoint in GGUF is drawn as its numbers in float32: %s beside %s, in %s",
  async (format, plain, precision) => {
    const { made, shapes, equal, flattened } = await inGguf(checkpoint, format, plain);
    expect(flattened).toBeGreaterThan(0);
    const model = join(folder, `whole-${format}-${precision}.gguf`);
    await writeFile(model, makeGguf(made, { values: shapes }));
    const got = await pictureOf({ model, ...CONFIG, precision });
    const want = await pictureOf({ model: await write(`whole-${format}-${precision}-equal`, equal), ...CONFIG, precision });
    expect(largestDifference(got, want)).toBeLessThanOrEqual(1);
  },
);

/** A tensor of an adapter or a LoRA, stored otherwise: tensors by name, and the same numbers in float32. */
type Stored = readonly [Map<string, Made>, Made];

const storedAnew: Readonly<Record<string, (name: string, tensor: Made) => Promise<Stored>>> = {
  "8-bit floats": async (name, tensor) => {
    const cast = small(tensor.shape, await valuesIn(tensor), "F8_E4M3");
    return [new Map([[name, cast]]), await inFloat32(cast)];
  },
  bfloat16: async (name, tensor) => {
    const cast: Made = { ...tensor, dtype: "BF16", data: new Uint8Array(floatsToBfloats(await valuesIn(tensor)).buffer) };
    return [new Map([[name, cast]]), await inFloat32(cast)];
  },
  "integers with a scale for each row": async (name, tensor) => {
    if (!/weight$/.test(name) || tensor.shape.length < 2) return [new Map([[name, tensor]]), await inFloat32(tensor)];
    const { weight, scales } = await scaledLayer(tensor, { name: "", dtype: "I8", scale: "weight_scale", perRow: true });
    const numbers = await numbersOf(weight);
    const row = numbers.length / scales.length;
    const equal = single([...numbers.map((x, i) => x * scales[Math.floor(i / row)]!)], tensor.shape);
    return [
      new Map([
        [name, weight],
        [`${name}_scale`, single(scales, [scales.length, 1])],
      ]),
      equal,
    ];
  },
};

/** An adapter and a LoRA, and the picture that they give. */
const FILES = {
  adapter: goldenPath("tiny-photomaker-v1.bin"),
  lora: goldenPath("lora", "kohya_diffusers_names.safetensors"),
};
async function pictureWith({ adapter, lora }: typeof FILES, precision: "f32" | "int8" = "f32"): Promise<Uint8Array> {
  await copyFile(goldenPath("photomaker-config.json"), join(folder, "photomaker-config.json"));
  return pictureOf({ ...TINY_V1, adapter, loras: [{ path: lora, scale: 1 }], precision });
}

test.each(Object.keys(storedAnew))("an adapter and a LoRA in %s are drawn as their numbers in float32", async (kind) => {
  const [odd, equal] = [{ ...FILES }, { ...FILES }];
  for (const name of ["adapter", "lora"] as const) {
    const [stored, numbers] = [new Map<string, Made>(), new Map<string, Made>()];
    for (const [key, tensor] of await allMade((await openTensors(FILES[name])).tensors)) {
      const [made, plain]: Stored = /^F/.test(tensor.dtype)
        ? await storedAnew[kind]!(key, tensor)
        : [new Map([[key, tensor]]), tensor];
      for (const [own, one] of made) stored.set(own, one);
      numbers.set(key, plain);
    }
    odd[name] = await write(`${name}-${kind}`, stored);
    equal[name] = await write(`${name}-${kind}-equal`, numbers);
  }
  expect(largestDifference(await pictureWith(odd), await pictureWith(equal))).toBeLessThanOrEqual(1);
});

test.each(["f32", "int8"] as const)(
  "an adapter and a LoRA in GGUF are drawn as their numbers in float32, in %s",
  async (precision) => {
    const [odd, equal] = [{ ...FILES }, { ...FILES }];
    for (const name of ["adapter", "lora"] as const) {
      const tensors = await allMade((await openTensors(FILES[name])).tensors);
      for (const [key, { dtype }] of tensors) if (!/^F/.test(dtype)) tensors.delete(key);
      const { made, shapes, equal: numbers } = await inGguf(tensors, "Q8_0", "F16");
      odd[name] = join(folder, `${name}-${precision}.gguf`);
      await writeFile(odd[name], makeGguf(made, { values: shapes }));
      equal[name] = await write(`${name}-gguf-equal`, numbers);
    }
    expect(largestDifference(await pictureWith(odd, precision), await pictureWith(equal, precision))).toBeLessThanOrEqual(1);
  },
);

const ATTENTION = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.";
const bytes = (dtype: Made["dtype"], ...shape: number[]): Made => ({
  dtype,
  shape,
  data: new Uint8Array(shape.reduce((a, b) => a * b, 1)),
});

test.each<[string, Record<string, Made>, RegExp]>([
  [
    "bitsandbytes nf4",
    { "weight.quant_state.bitsandbytes__nf4": bytes("U8", 8), weight: bytes("U8", 8, 1) },
    /bitsandbytes' 4 bits/,
  ],
  ["bitsandbytes int8", { SCB: single([1]), weight: bytes("I8", 16, 16) }, /bitsandbytes' int8/],
  ["nvfp4", { weight_scale_2: single([1]), weight: bytes("U8", 16, 8) }, /nvfp4/],
  ["mxfp8", { weight_scale: bytes("U8", 16, 1), weight: bytes("F8_E4M3", 16, 16) }, /mxfp8/],
  ["mxfp8 by its note", { comfy_quant: note('{"format":"mxfp8"}'), weight: bytes("F8_E4M3", 16, 16) }, /as mxfp8/],
  ["a note that cannot be read", { comfy_quant: note("{"), weight: bytes("F8_E4M3", 16, 16) }, /unreadable format/],
  [
    "a scale for each block",
    { weight_scale: single(Array(32).fill(1), [16, 2]), weight: bytes("F8_E4M3", 16, 16) },
    /each block/,
  ],
  ["raw integers", { weight: bytes("I8", 16, 16) }, /integers \(I8\) without scales/],
])("%s is refused by its name", async (_, tensors, named) => {
  const model = await write(
    "refused",
    new Map([...checkpoint, ...Object.entries(tensors).map(([k, v]): [string, Made] => [ATTENTION + k, v])]),
  );
  const error = await PhotoMaker.load({ model, ...CONFIG }).catch((error: unknown) => error);
  expect(error).toMatchObject({ code: "weights/number-format", message: expect.stringMatching(named) });
});

test("a scale that does not fit its weight is refused", async () => {
  const model = await write(
    "misfit",
    new Map([
      ...checkpoint,
      [`${ATTENTION}weight`, bytes("F8_E4M3", 16, 16)],
      [`${ATTENTION}weight_scale`, single([1, 2, 3], [3])],
    ]),
  );
  await expect(PhotoMaker.load({ model, ...CONFIG })).rejects.toMatchObject({ code: "weights/scale" });
});
