// What 8 bits change in one evaluation of the UNet: the ratio of its answer in float32 to the difference, in decibels.
//
//   npx tsx bench/precision/run.ts --model big/sdxl-synthetic.safetensors [--size 512] [--timesteps 981,501,21]
//
// Latents and text are random numbers of the usual size. One model is in memory at a time; float32 takes 12 GB at full size.
import { Command } from "commander";
import { wholeNumberOption } from "../../src/cli/flag-values.ts";
import { floats } from "../../src/core/array.ts";
import { gaussians } from "../../src/core/random/gaussians.ts";
import { seededRandom } from "../../src/core/random/seeded-random.ts";
import { type Outputs, unetGraph } from "../../src/pipeline/graphs.ts";
import { ortRuntime } from "../../src/runtime/ort-runtime.ts";
import { cacheSettings } from "../../src/runtime/prepare/cache-folder.ts";
import { prepare } from "../../src/runtime/prepare/prepare.ts";
import type { Feeds } from "../../src/runtime/runtime.ts";
import { openModel } from "../../src/weights/index.ts";

const TOKENS = 77;

const program = new Command("precision")
  .requiredOption("-m, --model <path>", "checkpoint or folder")
  .addOption(wholeNumberOption("--size <pixels>", "side of the picture", 8, 4096).default(512))
  .option("--timesteps <list>", "where to look", "981,501,21")
  .action(run);
await program.parseAsync();

async function run(flags: { readonly model: string; readonly size: number; readonly timesteps: string }): Promise<void> {
  const model = await openModel(flags.model);
  const { unfinished, settings } = unetGraph(model, new Map());
  const timesteps = flags.timesteps.split(",").map(Number);
  const side = flags.size / 8;
  const questions = timesteps.map((timestep, i): Feeds => {
    const random = seededRandom(1, i);
    const noise = (...dims: number[]) =>
      floats(
        gaussians(
          random,
          dims.reduce((a, b) => a * b),
        ),
        ...dims,
      );
    return {
      latents: noise(1, settings.inChannels, side, side),
      timestep: floats(Float32Array.of(timestep), 1),
      context: noise(1, TOKENS, settings.contextDim),
      pooled: noise(1, settings.pooledDim),
      timeIds: floats(Float32Array.of(flags.size, flags.size, 0, 0, flags.size, flags.size), 1, 6),
    };
  });
  const over = await prepare(
    { model: "unet", from: flags.model, ...unfinished },
    { cache: cacheSettings(), onNote: (note) => console.error(note) },
  );
  const eight = await answers(over(unfinished.outputs), questions);
  const exact = await answers(unfinished.outputs, questions);
  for (const [i, timestep] of timesteps.entries())
    console.log(`timestep ${timestep}: ${decibels(exact[i]!, eight[i]!).toFixed(1)} dB`);
}

async function answers(outputs: Outputs<"noise">, questions: readonly Feeds[]): Promise<Float32Array[]> {
  const runtime = ortRuntime();
  try {
    const session = await runtime.load(outputs);
    const found: Float32Array[] = [];
    for (const feeds of questions) found.push((await session.run(feeds)).noise.data as Float32Array);
    return found;
  } finally {
    await runtime.close();
  }
}

function decibels(exact: Float32Array, other: Float32Array): number {
  let [signal, noise] = [0, 0];
  for (let i = 0; i < exact.length; i++) {
    signal += exact[i]! ** 2;
    noise += (exact[i]! - other[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}
