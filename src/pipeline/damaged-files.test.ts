import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserError } from "../core/errors.ts";
import { decodePhoto } from "../image/decode-photo.ts";
import { goldenPath } from "../testing/golden.ts";
import { inBlocks, makeGguf } from "../testing/made-gguf.ts";
import { type Made, safetensorsOf, single } from "../testing/number-formats.ts";
import { singleFileBytes, singleFileHeader } from "../testing/single-file.ts";
import { TINY_V1 } from "../testing/tiny-model.ts";
import { clipMerges, readTokenizerFolder } from "../text/index.node.ts";
import { describe, openTensors, readValues, type Tensors } from "../weights/index.ts";
import { readIdEmbeds } from "./denoise/read-latents.ts";
import { PhotoMaker } from "./photomaker.ts";

/** Damaged files in all, and the seed of what is damaged. */
const FILES = Number(process.env.PHOTOMAKER_DAMAGED_FILES ?? 300);
const SEED = Number(process.env.PHOTOMAKER_DAMAGED_SEED ?? 1);
/** Seconds after which a file counts as one that hangs, on a machine that is busy with other things. */
const HANGS = 20;
/** Bytes by which memory may grow. */
const MOST_MEMORY = 500e6;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "damaged-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Numbers in [0, 1) that follow from a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Random {
  /** A whole number below `end`. */
  below(end: number): number;
  one<T>(of: readonly T[]): T;
}

/** Ways to damage a file. Headers are at the beginning (most formats) or at the end (zip). */
const DAMAGES: Readonly<Record<string, (bytes: Buffer, r: Random) => Buffer>> = {
  "cut at the end": (bytes, r) => bytes.subarray(0, r.below(bytes.length)),
  "cut a little at the end": (bytes, r) => bytes.subarray(0, Math.max(0, bytes.length - 1 - r.below(64))),
  "cut at the beginning": (bytes, r) => bytes.subarray(1 + r.below(Math.min(64, bytes.length))),
  "bits flipped anywhere": (bytes, r) => flipped(bytes, r, 0, bytes.length),
  "bits flipped in the first 200 bytes": (bytes, r) => flipped(bytes, r, 0, Math.min(200, bytes.length)),
  "bits flipped in the first 4000 bytes": (bytes, r) => flipped(bytes, r, 0, Math.min(4000, bytes.length)),
  "bits flipped in the last 2000 bytes": (bytes, r) => flipped(bytes, r, Math.max(0, bytes.length - 2000), bytes.length),
  "a number in the header made large": (bytes, r) => {
    const out = Buffer.from(bytes);
    const at = r.below(Math.min(2000, bytes.length));
    out.set(
      r.one([[255, 255, 255, 255], [255, 255, 255, 127], [0, 0, 0, 128], [0, 0, 0, 0, 1, 0, 0, 0], Array(8).fill(255)]),
      Math.max(0, Math.min(at, out.length - 8)),
    );
    return out;
  },
  "a number in the text changed": (bytes, r) => {
    const end = Math.min(bytes.length, 20_000);
    const text = bytes.subarray(0, end).toString("latin1");
    const numbers = [...text.matchAll(/-?\d+(\.\d+)?/g)];
    if (numbers.length === 0) return flipped(bytes, r, 0, end);
    const { 0: old, index } = r.one(numbers);
    const put = r.one(["0", "-1", "1e999", "9007199254740993", "4294967296", "null", "[]", '"7"', "1.5", `${old}0`]);
    return Buffer.concat([
      Buffer.from(text.slice(0, index) + put + text.slice(index + old.length), "latin1"),
      bytes.subarray(end),
    ]);
  },
  "a letter in the header changed": (bytes, r) => {
    const out = Buffer.from(bytes);
    out[r.below(Math.min(4000, out.length))] = r.one([...'{}[]":,./\\\0 aF1\u00ff'].map((letter) => letter.charCodeAt(0)));
    return out;
  },
  "a piece written twice": (bytes, r) => {
    const from = r.below(bytes.length);
    const to = Math.min(bytes.length, from + 1 + r.below(200));
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  },
  "a piece left out": (bytes, r) => {
    const from = r.below(Math.min(4000, bytes.length));
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 1 + r.below(200))]);
  },
  "a piece of zeros": (bytes, r) => {
    const out = Buffer.from(bytes);
    const from = r.below(out.length);
    return out.fill(0, from, Math.min(out.length, from + 1 + r.below(300)));
  },
  "something behind it": (bytes, r) => Buffer.concat([bytes, Buffer.alloc(1 + r.below(100), r.below(256))]),
};

function flipped(bytes: Buffer, r: Random, from: number, to: number): Buffer {
  const out = Buffer.from(bytes);
  for (let i = 0, count = 1 + r.below(8); i < count; i++) out[from + r.below(to - from)]! ^= 1 << r.below(8);
  return out;
}

/** A kind of file: a valid one, and what this program does with it. */
interface Kind {
  readonly name: string;
  readonly bytes: Buffer;
  readonly use: (bytes: Buffer) => Promise<unknown>;
}

const saved = async (name: string, bytes: Uint8Array): Promise<string> => {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  return path;
};

async function readAll(tensors: Tensors): Promise<void> {
  for (const entry of tensors.values()) await readValues(entry);
}

/** Loads a model with a file, and describes the file. */
async function load(path: string, options: Parameters<typeof PhotoMaker.load>[0]): Promise<void> {
  const [first] = await Promise.allSettled([
    PhotoMaker.load(options).then((pm) => pm.close()),
    openTensors(path).then(({ tensors }) => readAll(tensors)),
  ]);
  await describe(path).catch(expectUserError);
  if (first.status === "rejected") throw first.reason;
}

async function kinds(): Promise<Kind[]> {
  const whole = new Map(
    [...(await singleFileBytes())].map(([name, data]): [string, Made] => [
      name,
      { dtype: "F16", shape: singleFileHeader[name]![1], data },
    ]),
  );
  const config = { modelConfig: goldenPath("tiny-sdxl") };
  const asModel = (name: string) => async (bytes: Buffer) => {
    const path = await saved(name, bytes);
    return load(path, { model: path, ...config });
  };
  const fixture = (...parts: string[]) => readFile(goldenPath(...parts));
  const asLora = (name: string) => async (bytes: Buffer) => {
    const path = await saved(name, bytes);
    return load(path, { ...TINY_V1, loras: [{ path, scale: 1 }] });
  };
  const asAdapter = (name: string) => async (bytes: Buffer) => {
    const path = await saved(join("adapter", name), bytes);
    await cp(goldenPath("photomaker-config.json"), join(folder, "adapter", "photomaker-config.json"));
    return load(path, { ...TINY_V1, adapter: path });
  };
  const values = Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i));
  const blocks = [...whole].map(([name, { shape, data }], i) => {
    const isFlat = shape.length > 1 && data.length % 128 === 0;
    const count = data.length / 2;
    return isFlat && i % 3 !== 0 && shape.at(-1)! % 32 === 0
      ? {
          name,
          type: 8,
          shape,
          data: inBlocks(
            Float32Array.from({ length: count }, (_, k) => Math.sin(k + i) / 20),
            "Q8_0",
          ).data,
        }
      : { name, type: 1, shape, data };
  });
  const folderModel = join(folder, "model");
  await cp(goldenPath("tiny-sdxl"), folderModel, { recursive: true });
  const inFolder = async (...parts: string[]): Promise<Kind> => {
    const name = join(...parts);
    const good = await fixture("tiny-sdxl", name);
    return {
      name,
      bytes: good,
      use: async (bytes) => {
        await writeFile(join(folderModel, name), bytes);
        try {
          await PhotoMaker.load({ model: folderModel }).then((pm) => pm.close());
        } finally {
          await writeFile(join(folderModel, name), good);
        }
      },
    };
  };
  const merges = clipMerges().split("\n").slice(0, 300).join("\n");
  const letters = [...new Set(merges)].filter((letter) => letter > " ");
  const pieces = merges
    .split("\n")
    .slice(1)
    .map((line) => line.replace(" ", ""));
  const all = new Set([...letters, ...letters.map((letter) => `${letter}</w>`), ...pieces, "<|startoftext|>", "<|endoftext|>"]);
  const tokenizer: Readonly<Record<string, Buffer>> = {
    "vocab.json": Buffer.from(JSON.stringify(Object.fromEntries([...all].map((piece, i) => [piece, i])))),
    "merges.txt": Buffer.from(merges),
    "tokenizer_config.json": await fixture("tiny-sdxl", "tokenizer", "tokenizer_config.json"),
    "special_tokens_map.json": await fixture("tiny-sdxl", "tokenizer", "special_tokens_map.json"),
  };
  for (const [name, bytes] of Object.entries(tokenizer)) await saved(join("tokenizer", name), bytes);
  const inTokenizer = (name: string): Kind => ({
    name: `tokenizer's ${name}`,
    bytes: tokenizer[name]!,
    use: async (bytes) => {
      await saved(join("tokenizer", name), bytes);
      try {
        (await readTokenizerFolder(join(folder, "tokenizer"))).tokenizer.encode("a photo of a man, in the rain");
      } finally {
        await saved(join("tokenizer", name), tokenizer[name]!);
      }
    },
  });
  const photo = await sharp(goldenPath("photos", "person_0.png")).resize(96, 64).toBuffer();
  const asPhoto = (name: string, bytes: Buffer): Kind => ({
    name,
    bytes,
    use: (damaged) => decodePhoto(damaged, { maxPixels: 20e6 }),
  });
  const npy = Buffer.concat([
    Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, 118, 0]),
    Buffer.from(`${"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 512), }".padEnd(117)}\n`),
    Buffer.from(values.buffer),
  ]);
  return [
    { name: "checkpoint.safetensors", bytes: Buffer.from(safetensorsOf(whole)), use: asModel("checkpoint.safetensors") },
    {
      name: "checkpoint.gguf",
      bytes: makeGguf(blocks, { values: { "general.architecture": "sdxl", "a.list": [1, 2, 3] } }),
      use: asModel("checkpoint.gguf"),
    },
    {
      name: "lora.safetensors",
      bytes: await fixture("lora", "kohya_diffusers_names.safetensors"),
      use: asLora("lora.safetensors"),
    },
    {
      name: "embedding.safetensors",
      bytes: Buffer.from(
        safetensorsOf(
          new Map([
            ["clip_l", single([...values.subarray(0, 32)], [2, 16])],
            ["clip_g", single([...values.subarray(0, 48)], [2, 24])],
          ]),
        ),
      ),
      use: async (bytes) => {
        const path = await saved("embedding.safetensors", bytes);
        return load(path, { ...TINY_V1, embeddings: [path] });
      },
    },
    { name: "adapter.bin", bytes: await fixture("tiny-photomaker-v1.bin"), use: asAdapter("adapter.bin") },
    {
      name: "legacy.pt",
      bytes: await fixture("formats", "legacy.pt"),
      use: async (bytes) => {
        const path = await saved("legacy.pt", bytes);
        await readAll((await openTensors(path)).tensors);
        return describe(path);
      },
    },
    {
      name: "views.bin",
      bytes: await fixture("formats", "views.bin"),
      use: async (bytes) => readAll((await openTensors(await saved("views.bin", bytes))).tensors),
    },
    { name: "faces.npy", bytes: npy, use: async (bytes) => readIdEmbeds(await saved("faces.npy", bytes)) },
    asPhoto("photo.png", await sharp(photo).png().toBuffer()),
    asPhoto("photo.jpg", await sharp(photo).jpeg().toBuffer()),
    asPhoto("photo.tif", await sharp(photo).tiff().toBuffer()),
    asPhoto("lab.tif", await sharp(photo).toColourspace("lab").tiff().toBuffer()),
    asPhoto("photo.webp", await sharp(photo).webp().toBuffer()),
    asPhoto("photo.gif", await sharp(photo).gif().toBuffer()),
    await inFolder("model_index.json"),
    await inFolder("unet", "config.json"),
    await inFolder("vae", "config.json"),
    await inFolder("text_encoder", "config.json"),
    await inFolder("scheduler", "scheduler_config.json"),
    await inFolder("tokenizer", "tokenizer_config.json"),
    ...Object.keys(tokenizer).map(inTokenizer),
  ];
}

/** What a user is told: code, problem and remedy, and no line of a stack. */
function expectUserError(error: unknown): void {
  if (!(error instanceof UserError)) throw error;
  expect(error.message, error.code).not.toMatch(/\n\s+at |\[object/);
  expect(error.remedy.length).toBeGreaterThan(0);
}

const within = async (seconds: number, work: Promise<unknown>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it takes more than ${seconds} s`)), seconds * 1000);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
};

test("300 damaged files of every kind give an error with its code or a valid result, without a stack, a hang or 500 MB", async () => {
  const all = await kinds();
  for (const { name, bytes, use } of all)
    await within(
      HANGS,
      use(bytes).catch((error) => Promise.reject(new Error(`${name}, undamaged`, { cause: error }))),
    );
  const before = process.memoryUsage().rss;
  const random = randomFrom(SEED);
  const r: Random = { below: (end) => Math.floor(random() * end), one: (of) => of[Math.floor(random() * of.length)]! };
  const found: string[] = [];
  const outcomes = new Set<string>();
  for (let i = 0; i < FILES; i++) {
    const { name, bytes, use } = all[i % all.length]!;
    const damage = r.one(Object.keys(DAMAGES));
    const damaged = DAMAGES[damage]!(bytes, r);
    try {
      await within(HANGS, use(damaged));
      outcomes.add("a valid result");
    } catch (error) {
      try {
        expectUserError(error);
        outcomes.add((error as UserError).code);
      } catch {
        found.push(`${i} ${name}, ${damage}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      }
    }
  }
  if (process.env.PHOTOMAKER_DAMAGED_FILES)
    console.log([...outcomes].sort().join(" "), process.resourceUsage().maxRSS * 1024 - before);
  expect(found).toEqual([]);
  expect(process.resourceUsage().maxRSS * 1024 - before).toBeLessThan(MOST_MEMORY);
  expect(outcomes.size, [...outcomes].join(" ")).toBeGreaterThan(15);
});
