import type { LoadOptions } from "../../contract/request.ts";
import { UserError } from "../../core/errors.ts";
import type { Notice } from "../../core/notice.ts";
import type { Device } from "../../runtime/device.ts";
import { probeEightBits } from "../../runtime/eight-bit-probe.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { runsApart } from "../../sessions/apart.ts";
import { EncodingCache } from "../../sessions/encoding-cache.ts";
import { type DecoderGraph, NO_PAIRS, textGraph, tinyVaeGraph, unetGraph, vaeGraph } from "../../sessions/graphs.ts";
import { choosePrecision, type Precision } from "../../sessions/precision.ts";
import { availableMemory } from "../../sessions/runtimes.node.ts";
import { readersOf } from "../../sessions/text/readers.node.ts";
import type { ComponentName } from "../../weights/index.ts";
import { openAdapter } from "../../weights/open-adapter.node.ts";
import { openEmbeddings } from "../../weights/open-embeddings.node.ts";
import { openModel } from "../../weights/open-model.node.ts";
import { openTinyVae } from "../../weights/open-tiny-vae.node.ts";
import { unusedNotice } from "../../weights/unused-notice.ts";
import { LARGEST_WHOLE } from "../decode/decode.ts";
import { tinyScale } from "../decode/latent-scale.ts";
import { shortName } from "../public-name.ts";
import { fewStepNotices } from "../settle.ts";
import { type ChangeAdapters, changeAdapters, fewStepOf } from "./change-adapters.ts";
import { usualNeed } from "./check-room.ts";
import { partsGivenApart } from "./local-models.ts";
import { collectLoras } from "./loras.ts";
import { makeSessions } from "./make-sessions.ts";
import { modelSizes } from "./model-sizes.ts";
import type { Opened } from "./opened.ts";
import { openedAdapter } from "./opened-adapter.ts";

export interface OpenedModels {
  readonly opened: Opened;
  readonly changeAdapters: ChangeAdapters;
  readonly precision: Precision;
  /** Notices about the files. */
  readonly notices: readonly Notice[];
}

/**
 * Opens all files, builds all graphs, and checks every name and shape. No weights are read.
 * @param runtimes the second is for models that compute while the first loads others; each starts its process when it is first needed
 * @param options options with local models only
 * @param deviceNotices notices from opening the device
 * @throws UserError weights/missing, weights/shape, model/config, model/config-needed, adapter/config-needed, tiny-vae/other-latents,
 *   those of openModel, openAdapter, openTinyVae, openEmbeddings, collectLoras and choosePrecision
 */
export async function openModels(
  runtimes: readonly [Runtime, Runtime],
  device: Device,
  options: LoadOptions,
  deviceNotices: readonly Notice[],
): Promise<OpenedModels> {
  const [runtime, beside] = runtimes;
  const { modelConfig, prediction, zeroTerminalSnr } = options;
  const model = await openModel(options.model, {
    parts: partsGivenApart(options),
    prediction,
    zeroTerminalSnr,
    ...(modelConfig !== undefined && { config: modelConfig }),
  });
  const adapter = options.adapter === undefined ? undefined : await openAdapter(options.adapter);
  const loras = await collectLoras(model, adapter, options.adapterScale, options.loras);
  const { pairs, metadata, notices } = loras;
  const fewStep = fewStepOf(model, options.loras, metadata);
  const unet = unetGraph(loras.model, pairs);
  const withVectors = (options.embeddings?.length ?? 0) > 0;
  const text = [
    textGraph(loras.model, "text_encoder", pairs, withVectors),
    textGraph(loras.model, "text_encoder_2", pairs, withVectors),
  ] as const;
  const { embeddings, notices: left } = await openEmbeddings(options.embeddings ?? [], [
    text[0].config.width,
    text[1].config.width,
  ]);
  const vae = vaeGraph(model);
  const tinyVae = options.tinyVae === undefined ? undefined : await tinyVaeFor(vae, options.tinyVae);
  const { readers, notices: read } = await readersOf(model, [text[0].config, text[1].config]);
  const identity = adapter && (await openedAdapter(adapter, unet.config.contextDim));

  const sizes = modelSizes(model, adapter, unet);
  const available = availableMemory();
  const need = (unloadAfterUse: boolean) => usualNeed(sizes, vae, unet.config.sampleSize, unloadAfterUse);
  const {
    precision,
    weightRange,
    notices: chosen,
  } = await choosePrecision(options, device, sizes.unet, { about: need(options.unloadAfterUse), available }, () =>
    probeEightBits(runtime),
  );
  const apart = precision !== "f16" && runsApart(device, sizes.unet, need(false)[precision], available);
  const encoders = apart ? beside : runtime;
  const from = (name: ComponentName): string => shortName(model.parts[name] ?? options.model);
  const make = makeSessions({ runtime, encoders, precision, weightRange, from });
  const { lazy, inPrecision } = make;
  const opened: Opened = {
    options,
    device,
    apart,
    triggerWord: options.triggerWord,
    unloadAfterUse: options.unloadAfterUse,
    room: device === "cpu" && precision !== "f16" ? { sizes, precision, available } : undefined,
    memory: () => runtime.peakMemory(),
    scheduler: model.scheduler,
    fewStep,
    cache: new EncodingCache(options.encodingCacheBytes),
    embeddings,
    emptyPromptIsZeros: model.emptyPromptIsZeros,
    readers,
    text: [make.textEncoder("text_encoder", text[0]), make.textEncoder("text_encoder_2", text[1])],
    identity: identity && make.idEncoder(identity),
    unet: make.denoiser(unet),
    vae: {
      graph: vae,
      session: inPrecision({ model: "vae", from: from("vae"), outputs: vae.decode, pairs: NO_PAIRS }, vae.decode, {
        half: false,
      }),
      largestWhole: precision === "int8" ? LARGEST_WHOLE.int8 : LARGEST_WHOLE.f32,
    },
    tinyVae: tinyVae && { graph: tinyVae, session: lazy("tiny_vae", tinyVae.decode), largestWhole: LARGEST_WHOLE.f32 },
  };
  return {
    opened,
    changeAdapters: changeAdapters(model, identity, precision, make, loras.changes),
    precision,
    notices: [
      ...model.notices,
      ...unusedNotices({
        unet,
        vae,
        text_encoder: text[0],
        text_encoder_2: text[1],
        ...(tinyVae && { "the tiny VAE": tinyVae }),
        ...(identity && { "the adapter's ID encoder": { unused: [...adapter.unused, ...identity.graph.unused] } }),
      }),
      ...read,
      ...notices,
      ...left,
      ...chosen,
      ...deviceNotices,
      ...fewStepNotices(fewStep),
      ...sizeNotices(vae),
    ],
  };
}

/** What is left out may be what makes a picture right: scales of a quantisation, or an adapter's layers that were saved with the model. */
const unusedNotices = (graphs: Readonly<Record<string, { readonly unused: readonly string[] }>>): Notice[] =>
  Object.entries(graphs).flatMap(([name, { unused }]) => unusedNotice(name, unused));

async function tinyVaeFor(vae: DecoderGraph, path: string): Promise<DecoderGraph> {
  const tiny = tinyVaeGraph(await openTinyVae(path));
  const latents = ({ config, factor }: DecoderGraph): string =>
    `latents of ${config.latentChannels} channels for ${factor}x${factor} pixels each`;
  if (latents(tiny) !== latents(vae))
    throw new UserError(
      "tiny-vae/other-latents",
      `The tiny VAE ${path} decodes ${latents(tiny)}, and the model makes ${latents(vae)}.`,
      "Give the tiny autoencoder that was made for this model's VAE: for SDXL, madebyollin/taesdxl.",
    );
  return { ...tiny, config: { ...tiny.config, ...tinyScale(tiny.config, vae.config) } };
}

/** Gives a notice about a VAE with another factor than 8. None is needed about SDXL's first VAE, which overflows in half precision: no VAE runs in it. */
export function sizeNotices({ factor }: Pick<DecoderGraph, "factor">): Notice[] {
  return factor === 8 ? [] : [{ code: "vae/factor", message: `Each latent of this model covers ${factor}x${factor} pixels.` }];
}
