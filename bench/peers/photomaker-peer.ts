// UNet evaluations and VAE decodes of photomaker, as its pipeline runs them, for run.ts.
//
//   npx tsx bench/peers/photomaker-peer.ts --model <checkpoint> [--config <folder>] [--precision f32] [--threads <count>]
import "../../scripts/show-help.ts";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { floats } from "../../src/core/array.ts";
import { TorchCpuGenerator } from "../../src/core/random/torch-cpu-generator.ts";
import { probeEightBits } from "../../src/runtime/eight-bit-probe.ts";
import { ortRuntime } from "../../src/runtime/node/ort-runtime.ts";
import { ortVersion } from "../../src/runtime/node/ort-version.ts";
import { computeInCache } from "../../src/runtime/node/prepare/compute-in-cache.ts";
import { prepareInCache } from "../../src/runtime/node/prepare/prepare-in-cache.ts";
import { NO_PAIRS, type Outputs, unetGraph, vaeGraph } from "../../src/sessions/graphs.ts";
import { LazySession } from "../../src/sessions/lazy-session.ts";
import { inEightBits } from "../../src/sessions/precision.ts";
import { openModel } from "../../src/weights/index.ts";
import { serve } from "./serve.ts";

const { values: args } = parseArgs({
  options: {
    model: { type: "string" },
    config: { type: "string" },
    precision: { type: "string", default: "f32" },
    threads: { type: "string", default: `${availableParallelism()}` },
  },
});
const model = await openModel(args.model!, args.config === undefined ? {} : { config: args.config });
const [unet, vae] = [unetGraph(model, new Map()), vaeGraph(model)];
const runtime = ortRuntime({ threads: Number(args.threads) });
const weightRange = args.precision === "int8" ? await probeEightBits(runtime) : undefined;
const inPrecision = <Name extends string>(name: string, outputs: Outputs<Name>) =>
  new LazySession(
    runtime,
    name,
    args.precision === "int8"
      ? inEightBits(
          { model: name, from: "model", outputs, pairs: NO_PAIRS, weightRange },
          outputs,
          prepareInCache,
          computeInCache,
        )
      : outputs,
  );
const sessions = {
  unet: inPrecision("unet", unet.unfinished.outputs),
  vae: inPrecision("vae", vae.decode),
};
const quiet = { loading: () => {}, preparing: () => {}, noted: () => {}, loaded: () => {} };
const noise = new TorchCpuGenerator(0);
const random = async (...dims: number[]) => floats(await noise.randn(dims.reduce((a, b) => a * b)), ...dims);

await serve(
  `photomaker on ONNX Runtime ${ortVersion()}, ${args.precision}, ${args.threads} threads`,
  async ({ part, width, height, batch }) => {
    const [h, w] = [height / vae.factor, width / vae.factor];
    const { inChannels, contextDim, pooledDim } = unet.config;
    const sizes = Float32Array.from({ length: 6 * batch }, (_, i) => [height, width, 0, 0, height, width][i % 6]!);
    const feeds =
      part === "vae"
        ? { latents: await random(batch, vae.config.latentChannels, h, w) }
        : {
            latents: await random(batch, inChannels, h, w),
            timestep: floats(Float32Array.of(500), 1),
            context: await random(batch, 77, contextDim),
            pooled: await random(batch, pooledDim),
            timeIds: floats(sizes, batch, 6),
          };
    const session = await sessions[part].get(quiet);
    const start = performance.now();
    await session.run(feeds);
    return { seconds: (performance.now() - start) / 1000, peakMemory: runtime.peakMemory() };
  },
);
await runtime.close();
