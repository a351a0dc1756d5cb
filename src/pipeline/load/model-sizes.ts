import type { UNetGraph } from "../../sessions/graphs.ts";
import type { ModelSizes } from "../../sessions/memory.ts";
import type { AdapterFiles } from "../../weights/adapter.ts";
import { elementCount, type Tensors } from "../../weights/index.ts";
import type { ModelFiles } from "../../weights/model.ts";

/** Parameters of a model and its adapter, which determine their memory. */
export const modelSizes = (
  { components }: ModelFiles,
  adapter: AdapterFiles | undefined,
  { config }: Pick<UNetGraph, "config">,
): ModelSizes => ({
  encoders: [components.text_encoder.tensors, components.text_encoder_2.tensors, adapter?.idEncoder].map(parametersIn),
  unet: parametersIn(components.unet.tensors),
  unetChannels: config.channels[0]!,
});

/** Number of parameters of tensors. */
export const parametersIn = (tensors: Tensors = new Map()): number =>
  [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
