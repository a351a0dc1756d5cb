import { expect, test } from "vitest";
import { idEncoderParameters, type Parameters, textParameters, unetParameters } from "../../../scripts/synthetic/parameters.ts";
import { SDXL } from "../../../scripts/synthetic/sdxl-sizes.ts";
import { liveBytes } from "../../graph/live.ts";
import { memorySource } from "../../weights/byte-source.ts";
import { elementCount, type ModelComponent, type ModelFiles, type TensorEntry, type Tensors } from "../../weights/index.ts";
import { trainingMemory } from "../memory.ts";
import { trainingOutputs } from "../run.ts";
import { adapterConfig } from "./config.ts";
import { adapterGraph } from "./graph.ts";

const stored = (params: Parameters): Tensors =>
  new Map(
    [...params].map(([name, { shape }]): [string, TensorEntry] => {
      const length = 2 * elementCount(shape);
      return [
        name,
        { name, dtype: "F16", shape, source: { kind: "file", file: memorySource("/sdxl", new Uint8Array()), offset: 0, length } },
      ];
    }),
  );
const component = (params: Parameters): ModelComponent => ({ tensors: stored(params), files: ["/sdxl"] });
const components = {
  unet: component(unetParameters(SDXL)),
  text_encoder: component(textParameters(SDXL.textEncoder)),
  text_encoder_2: component(textParameters(SDXL.textEncoder2)),
};
const model = { components } as unknown as ModelFiles;
const { vision } = SDXL.v1;
const frozen = stored(idEncoderParameters(SDXL, "v1"));
// no size of it matters for the graph
const start = { vision, frozen, trained: new Map(), sizes: {} as never };

/** One step at full size. No weight is read. */
function step(resolution: number) {
  const config = adapterConfig({ resolution, idImages: 2 });
  const latents = { channels: SDXL.vae.latentChannels, side: resolution / 8 };
  const { weights, loss, kept } = adapterGraph(model, start, { config, prediction: "epsilon", latents, positions: 77 });
  const task = { weights, loss, kept };
  const outputs = (checkpointed: boolean) =>
    Object.values(
      trainingOutputs(
        { ...task, kept: checkpointed ? kept : undefined },
        weights.layout(() => 0),
      ).outputs,
    );
  return { weights, outputs };
}

test("SDXL is trained at 512x512 in less than 14 GB, 7 GB of them weights that stay in half precision", () => {
  const { weights, outputs } = step(512);
  const shapes = [...weights.tensors()].map(([name, { shape }]) => [name, elementCount(shape as number[])] as const);
  const count = (prefix: string) => shapes.reduce((sum, [name, size]) => sum + (name.startsWith(prefix) ? size : 0), 0);
  expect(count("unet.")).toBe(92_897_280); // LoRA of rank 64, as the published adapter has it
  const size = count("");
  const memory = trainingMemory(outputs(true), { size, ema: false, workers: 1, accumulate: 1 });
  expect(memory.mapped).toBeGreaterThan(7e9);
  expect(memory.widened).toBeLessThan(0.02e9);
  expect(memory.least + memory.mapped).toBeLessThan(14e9);
  expect(memory.values * 20).toBeLessThan(liveBytes(outputs(false)));
});
