import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PhotoMaker } from "../pipeline/photomaker.ts";
import { goldenPath } from "../testing/golden.ts";
import { makePickle, makeTorchZip } from "../testing/made-files.ts";
import { cli } from "../testing/run-cli.ts";
import { writeSafetensors } from "../weights/safetensors-write.node.ts";

const MODEL = goldenPath("tiny-sdxl");
const ADAPTER = goldenPath("tiny-photomaker-v1.bin");
const PHOTO = goldenPath("photos", "person_0.png");
const UNET = join("unet", "diffusion_pytorch_model.safetensors");

let folder: string;
const made = (name: string): string => join(folder, name);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bad-input-"));
});
afterEach(() => rm(folder, { recursive: true }));

type Flags = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Runs `generate` on the tiny model with some flags changed. */
async function generate(flags: Flags): Promise<{ code: number; out: string; err: string }> {
  const all: Flags = {
    "--model": MODEL,
    "--adapter": ADAPTER,
    "--id-image": PHOTO,
    "--prompt": "a man img",
    "--width": "64",
    "--height": "64",
    "--steps": "1",
    "--seed": "1",
    "--out": made("out"),
    ...flags,
  };
  const args = Object.entries(all).flatMap(([flag, value]) => (value === undefined ? [] : [flag, ...[value].flat()]));
  const never = async (): Promise<never> => {
    throw new Error("not needed here");
  };
  const others = { open: never, download: never, describe: never, cache: never, world: never, mini: never, adapter: never };
  const tools = { load: PhotoMaker.load, ...others };
  return cli(["generate", ...args], tools);
}

/** Expects cause and remedy in words, a code for scripts, and no file written. */
async function expectRefusal(flags: Flags, cause: RegExp): Promise<void> {
  const before = await readdir(folder, { recursive: true });
  const { code, out, err } = await generate(flags);
  expect(err).toMatch(cause);
  expect(err).toMatch(/^error: .+\nwhat to do: .+\n$/m);
  expect(err).not.toMatch(/\n {4}at /); // no stack: this is not a bug
  expect([code, out]).toEqual([1, ""]);
  expect(await readdir(folder, { recursive: true })).toEqual(before);
}

test("too little memory: the message has the need, the amount available and the remedy", async () => {
  const granted = vi.spyOn(process, "constrainedMemory").mockReturnValue(100_000);
  try {
    await expectRefusal({}, /needs about 0\.3 GB of memory in f32, and 0\.000 GB are available/);
  } finally {
    granted.mockRestore();
  }
});

test("the same command without a mistake makes a picture", async () => {
  expect(await generate({})).toMatchObject({ code: 0, out: `${join(made("out"), "image_0.png")}\n` });
});

test.each<[string, Flags, RegExp]>([
  ["no photo", { "--id-image": undefined }, /no photo/],
  ["a missing photo", { "--id-image": "/nobody.jpg" }, /nobody\.jpg/],
  ["a photo below a file", { "--id-image": join(PHOTO, "me.jpg") }, /person_0\.png is a file, and has none below it/],
  ["latents below a file", { "--latents": join(PHOTO, "l.safetensors") }, /person_0\.png is a file, and has none below it/],
  ["a folder as photo", { "--id-image": MODEL }, /is a folder/],
  ["no trigger word", { "--prompt": "a photo of a man" }, /no trigger word "img"/],
  ["two trigger words", { "--prompt": "a man img and a dog img" }, /"img" occurs 2 times|two|twice/],
  ["a trigger word without a class word", { "--prompt": "img in the snow" }, /class word/],
  ["a LoRA as adapter", { "--adapter": goldenPath("lora", "peft.safetensors") }, /LoRA/],
  ["a whole VAE as tiny VAE", { "--tiny-vae": join(MODEL, "vae") }, /a VAE alone, not a tiny autoencoder/],
  ["the tiny VAE as decoder without one", { "--decoder": "tiny-vae" }, /none was loaded/],
  ["a decoder that does not exist", { "--decoder": "taesd" }, /--decoder is "taesd"/],
  ["an adapter as model", { "--model": ADAPTER }, /adapter/],
  ["a V2 adapter without face embeddings", { "--adapter": goldenPath("tiny-photomaker-v2.bin") }, /face embedding/],
  ["a width that is not a multiple of 8", { "--width": "60" }, /--width is 60/],
  ["a height that is not a multiple of 8", { "--height": "65" }, /--height is 65/],
  ["steps of 0", { "--steps": "0" }, /--steps is 0/],
  ["a width that is a word", { "--width": "abc" }, /--width is "?abc/],
  ["a scheduler that does not exist", { "--scheduler": "eulr" }, /eulr/],
  ["a device for seeds that does not exist", { "--generator-device": "gpu" }, /--generator-device is "?gpu/],
  ["int8 on a graphics card", { "--device": "webgpu", "--precision": "int8" }, /int8 is for the processor/],
  ["half precision on the processor", { "--precision": "f16" }, /f16 is for graphics cards/],
  ["a missing model", { "--model": "/nowhere/model.safetensors" }, /nowhere/],
])("%s", async (_, flags, cause) => {
  await expectRefusal(flags, cause);
});

test("pictures that cannot be read: damaged, cut off, empty, enormous", async () => {
  const whole = await readFile(PHOTO);
  await writeFile(made("noise.jpg"), Buffer.from("this is no picture"));
  await writeFile(made("cut.png"), whole.subarray(0, whole.length / 2));
  await writeFile(made("empty.png"), "");
  const enormous = Buffer.from(whole.subarray(0, 33));
  enormous.writeUInt32BE(200_000, 16);
  enormous.writeUInt32BE(200_000, 20);
  await writeFile(made("enormous.png"), Buffer.concat([enormous, whole.subarray(33)]));
  for (const name of ["noise.jpg", "cut.png", "empty.png", "enormous.png"])
    await expectRefusal({ "--id-image": [PHOTO, made(name)] }, new RegExp(name.replace(".", "\\.")));
});

test("a photo too small for a face is refused with its size", async () => {
  for (const [width, height] of [
    [1, 1],
    [31, 500],
  ] as const) {
    await sharp({ create: { width, height, channels: 3, background: "red" } }).toFile(made("small.png"));
    await expectRefusal({ "--id-image": made("small.png") }, new RegExp(`small\\.png has ${width}x${height} pixels.*32x32`));
  }
  await sharp({ create: { width: 32, height: 32, channels: 3, background: "red" } }).toFile(made("small.png"));
  expect(await generate({ "--id-image": made("small.png") })).toMatchObject({ code: 0 });
});

const tensor = (name: string, shape: number[], dtype: "F32" | "I64" = "F32") => {
  const count = shape.reduce((a, b) => a * b, 1);
  return { name, dtype, shape, data: dtype === "F32" ? new Float32Array(count) : new BigInt64Array(count) };
};

test("a Stable Diffusion 1.5 checkpoint, and an adapter and a LoRA of another model", async () => {
  const blocks = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight";
  await writeSafetensors(made("sd15.safetensors"), [
    tensor(blocks, [320, 768]),
    tensor("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight", [4, 768]),
    tensor("first_stage_model.decoder.conv_in.weight", [4, 4, 1, 1]),
  ]);
  await expectRefusal({ "--model": made("sd15.safetensors") }, /Stable Diffusion 1/);
  const layer = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q";
  await writeSafetensors(made("lora.safetensors"), [
    tensor(`${layer}.lora_down.weight`, [4, 320]),
    tensor(`${layer}.lora_up.weight`, [320, 4]),
  ]);
  await expectRefusal({ "--lora": made("lora.safetensors") }, /lora\.safetensors/);
});

test("a missing component, and damaged weights", async () => {
  const copy = async (name: string): Promise<string> => {
    await cp(MODEL, made(name), { recursive: true });
    return made(name);
  };
  const incomplete = await copy("incomplete");
  await rm(join(incomplete, "vae"), { recursive: true });
  await expectRefusal({ "--model": incomplete }, /vae/);

  const whole = await readFile(join(MODEL, UNET));
  const header = Number(whole.readBigUInt64LE(0));
  const json = whole.subarray(8, 8 + header).toString("utf8");
  const changed = (from: RegExp, to: string): Buffer => {
    const text = json.replace(from, to);
    expect(text).not.toBe(json);
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
    return Buffer.concat([size, Buffer.from(text), whole.subarray(8 + header)]);
  };
  const long = Buffer.from(whole);
  long.writeBigUInt64LE(BigInt(whole.length * 2));
  const broken: Record<string, Buffer> = {
    "cut off": whole.subarray(0, whole.length - 1000),
    "a header larger than the file": long,
    "offsets that overlap": changed(/"data_offsets":\[(\d+),(\d+)\]/, '"data_offsets":[8,$2]'),
    "an offset beyond the end": changed(/"data_offsets":\[\d+,\d+\]/, '"data_offsets":[0,99999999999]'),
    "a number format that does not exist": changed(/"dtype":"F16"/, '"dtype":"F17"'),
    "a number format of another size": changed(/"dtype":"F16"/, '"dtype":"F32"'),
    "a header that is no JSON": changed(/^\{/, "["),
  };
  const model = await copy("broken");
  for (const bytes of Object.values(broken)) {
    await writeFile(join(model, UNET), bytes);
    await expectRefusal({ "--model": model }, /diffusion_pytorch_model\.safetensors/);
  }
});

test("a pickle that would run a command is refused, and does not run it", async () => {
  const mark = made("ran");
  const pickle = makePickle("\x80\x02", "cposix\nsystem\n", { text: `touch ${mark}` }, "\x85R.");
  await writeFile(made("evil.bin"), makeTorchZip(pickle, {}));
  await expectRefusal({ "--adapter": made("evil.bin") }, /posix\.system/);
  const cut = (await readFile(ADAPTER)).subarray(0, 5000);
  await writeFile(made("cut.bin"), cut);
  await expectRefusal({ "--adapter": made("cut.bin") }, /cut\.bin/);
  expect(await readdir(folder)).not.toContain("ran");
});

test("places that cannot be written to are refused before the work begins", async () => {
  await writeFile(made("file"), "");
  await expectRefusal({ "--out": made("file") }, /there is a file of that name/);
  await mkdir(made("a.png"));
  await expectRefusal({ "--out": made("a.png") }, /is a folder/);
  await expectRefusal({ "--out": "/dev/null/pictures" }, /\/dev\/null/);
  await expectRefusal({ "--out": made("x.gif") }, /PNG/);
  // the model is missing: whether latents can be written is checked first
  const latents = (path: string) => ({ "--model": "/nowhere", "--save-latents": path });
  await expectRefusal(latents(made("no/l.safetensors")), /folder .*no does not exist/);
  await expectRefusal(latents(made("file/l.safetensors")), /file cannot be a folder: there is a file of that name/);
});
