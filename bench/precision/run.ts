// Measures the error of 8 bits in one evaluation of the UNet and in decoding: the ratio of the float32 result to the difference, in decibels.
//
//   npx tsx bench/precision/run.ts --model big/sdxl-synthetic.safetensors [--size 512] [--timesteps 981,501,21] [--parts unet,vae]
//     [--weight-range full|paired]
//
// The range of weights in 8 bits is by default the one that is correct on this processor (src/runtime/eight-bit-probe.ts).
// Latents and text are random numbers of the usual size. One model is in memory at a time; float32 takes 12 GB at full size.
import { Command, Option } from "commander";
import { wholeNumberOption } from "../../src/cli/terminal/flag-values.ts";
import { floats } from "../../src/core/array.ts";
import { gaussians } from "../../src/core/random/gaussians.ts";
import { seededRandom } from "../../src/core/random/seeded-random.ts";
import { probeEightBits, type WeightRange } from "../../src/runtime/eight-bit-probe.ts";
import { ortRuntime } from "../../src/runtime/node/ort-runtime.ts";
import { cacheOptions } from "../../src/runtime/node/prepare/cache-folder.ts";
import { prepare } from "../../src/runtime/node/prepare/prepare.ts";
import type { ToPrepare } from "../../src/runtime/prepare.ts";
import type { Feeds } from "../../src/runtime/runtime.ts";
import { NO_PAIRS, type Outputs, unetGraph, vaeGraph } from "../../src/sessions/graphs.ts";
import { decibels } from "../../src/testing/decibels.ts";
import { type ModelFiles, openModel } from "../../src/weights/index.ts";

const TOKENS = 77;

const program = new Command("precision")
  .requiredOption("-m, --model <path>", "checkpoint or folder")
  .addOption(wholeNumberOption("--size <pixels>", "side of the picture", 8, 4096).default(512))
  .option("--timesteps <list>", "timesteps of the UNet's evaluations", "981,501,21")
  .option("--parts <list>", "parts to measure", "unet,vae")
  .addOption(
    new Option("--weight-range <range>", "range of 8-bit weights (default: the one correct on this processor)").choices([
      "full",
      "paired",
    ]),
  )
  .action(run);
await program.parseAsync();

interface Flags {
  readonly model: string;
  readonly size: number;
  readonly timesteps: string;
  readonly parts: string;
  readonly weightRange?: WeightRange | undefined;
}

async function run(asked: Flags): Promise<void> {
  const flags = { ...asked, weightRange: asked.weightRange ?? (await ownRange()) };
  const model = await openModel(flags.model);
  const parts = flags.parts.split(",");
  if (parts.includes("unet")) await lookAtUnet(model, flags);
  if (parts.includes("vae")) await lookAtVae(model, flags);
}

async function lookAtUnet(model: ModelFiles, flags: Flags): Promise<void> {
  const { unfinished, config } = unetGraph(model, new Map());
  const timesteps = flags.timesteps.split(",").map(Number);
  const side = flags.size / 8;
  const questions = timesteps.map((timestep, i): Feeds => {
    const noise = noiseOf(i);
    return {
      latents: noise(1, config.inChannels, side, side),
      timestep: floats(Float32Array.of(timestep), 1),
      context: noise(1, TOKENS, config.contextDim),
      pooled: noise(1, config.pooledDim),
      timeIds: floats(Float32Array.of(flags.size, flags.size, 0, 0, flags.size, flags.size), 1, 6),
    };
  });
  const found = await compared(
    { model: "unet", from: flags.model, weightRange: flags.weightRange, ...unfinished },
    "noise",
    questions,
  );
  for (const [i, timestep] of timesteps.entries()) console.log(`timestep ${timestep}: ${found[i]!.toFixed(1)} dB`);
}

async function lookAtVae(model: ModelFiles, flags: Flags): Promise<void> {
  const { decode, config, factor } = vaeGraph(model);
  const side = flags.size / factor;
  const latents = noiseOf(0)(1, config.latentChannels, side, side);
  const whole = { model: "vae", from: flags.model, weightRange: flags.weightRange, outputs: decode, pairs: NO_PAIRS };
  const [found] = await compared(whole, "picture", [{ latents }]);
  console.log(`decoded: ${found!.toFixed(1)} dB`);
}

/** The range that is correct on this processor. */
async function ownRange(): Promise<WeightRange | undefined> {
  const runtime = ortRuntime();
  return probeEightBits(runtime).finally(() => runtime.close());
}

function noiseOf(stream: number) {
  const random = seededRandom(1, stream);
  return (...dims: number[]) => {
    const count = dims.reduce((a, b) => a * b);
    return floats(gaussians(random, count), ...dims);
  };
}

/** Decibels for each set of feeds. */
async function compared(whole: ToPrepare, name: string, questions: readonly Feeds[]): Promise<number[]> {
  const over = await prepare(whole, { cache: cacheOptions(), onNotice: (note) => console.error(note) });
  const eight = await answers(over(whole.outputs), name, questions);
  const exact = await answers(whole.outputs, name, questions);
  return exact.map((values, i) => decibels(values, eight[i]!));
}

async function answers(outputs: Outputs, name: string, questions: readonly Feeds[]): Promise<Float32Array[]> {
  const runtime = ortRuntime();
  try {
    const session = await runtime.load(outputs);
    const found: Float32Array[] = [];
    for (const feeds of questions) found.push((await session.run(feeds))[name]!.data as Float32Array);
    return found;
  } finally {
    await runtime.close();
  }
}
