import { basename, dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { ImageEvent } from "../contract/events.ts";
import {
  type GenerateInput,
  type LoadInput,
  type LoadOptions,
  parseGenerateRequest,
  parseLoadOptions,
} from "../contract/request.ts";
import type { FloatArray } from "../core/array.ts";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { type Work, workOf } from "../graph/work.ts";
import type { Device } from "../runtime/device.ts";
import { probeEightBits } from "../runtime/eight-bit-probe.ts";
import { availableMemory } from "../runtime/node/available-memory.ts";
import { MemoryGauge } from "../runtime/node/memory-gauge.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import type { ToPrepare } from "../runtime/node/prepare/prepare.ts";
import type { Feeds, Runtime } from "../runtime/runtime.ts";
import { runsApart } from "../sessions/apart.ts";
import { EncodingCache } from "../sessions/encoding-cache.ts";
import {
  type DecoderGraph,
  idGraph,
  loraScales,
  NO_PAIRS,
  type Outputs,
  type TextGraph,
  textGraph,
  tinyVaeGraph,
  type UNetGraph,
  type Unfinished,
  unetGraph,
  vaeGraph,
  withLoras,
} from "../sessions/graphs.ts";
import { LazySession, type Prepare } from "../sessions/lazy-session.ts";
import type { ModelSizes } from "../sessions/memory.ts";
import { chooseDevice, choosePrecision, inEightBits, type Precision } from "../sessions/precision.ts";
import { readersOf } from "../sessions/readers.ts";
import type { TextEncoder } from "../sessions/text-stage.ts";
import { UNetSessions } from "../sessions/unet-sessions.ts";
import { type AdapterFiles, openAdapter } from "../weights/adapter.ts";
import { resolveHubOrPath } from "../weights/hub/index.ts";
import { elementCount, type Tensors } from "../weights/index.ts";
import { openModel } from "../weights/model.ts";
import { readJsonIfThere } from "../weights/read-json.ts";
import type { ComponentName } from "../weights/sdxl-single-file.ts";
import { openTinyVae } from "../weights/tiny-vae.ts";
import { LARGEST_WHOLE } from "./decode/decode.ts";
import { encodeIdImages, type GenerateResult, generate, generateTogether } from "./generate.ts";
import { Generation } from "./generation.ts";
import { usualNeed } from "./load/check-room.ts";
import { detectFewStep } from "./load/few-step.ts";
import { collectLoras } from "./load/loras.ts";
import type { Models } from "./models.ts";
import { fewStepNotices } from "./settle.ts";

export interface PreparingOptions {
  readonly signal?: AbortSignal;
  /** @param done, total bytes of the model's weights */
  readonly onProgress?: (model: string, done: number, total: number) => void;
  readonly onNotice?: (notice: Notice) => void;
}

export interface RunsOn {
  readonly device: Device;
  readonly precision: Precision;
}

const TEXT_ENCODERS = ["text_encoder", "text_encoder_2"] as const;

/** The LoRAs of a model whose strengths may change while it is loaded. */
interface Live {
  pairs: Unfinished["pairs"];
}

interface InPrecision {
  readonly name?: string;
  readonly half?: boolean;
  readonly on?: Runtime;
  readonly live?: Live;
}

const withoutScales = (pairs: Unfinished["pairs"]) =>
  new Map([...pairs].map(([path, own]) => [path, own.map(({ down, up, group }) => ({ down, up, group }))]));

/** The models with the LoRAs of other options, when those of before that are not among them have left memory. */
type Relora = (before: Models, options: LoadOptions) => Promise<{ readonly models: Models; readonly notices: readonly Notice[] }>;

/**
 * A model with its adapter, ready to make pictures. Opening it checks every file, name and shape, and reads no weights:
 * those are loaded when they are first needed, and stay, so that another prompt, photo, size, number of pictures or
 * scheduler loads nothing again.
 */
export class PhotoMaker implements AsyncDisposable {
  #models: Models;
  readonly #relora: Relora;
  readonly #runtimes: readonly Runtime[];
  #last: Promise<unknown> = Promise.resolve();
  /** What the user should know about the files. */
  readonly notices: readonly Notice[];
  /** Where and how the models run. */
  readonly runsOn: RunsOn;

  private constructor(models: Models, relora: Relora, runtimes: readonly Runtime[], notices: readonly Notice[], runsOn: RunsOn) {
    this.#models = models;
    this.#relora = relora;
    this.#runtimes = runtimes;
    this.notices = notices;
    this.runsOn = runsOn;
  }

  /**
   * @throws UserError those of parseLoadOptions, chooseDevice, choosePrecision, resolveHubOrPath, openModel, openAdapter, openTinyVae and collectLoras, and
   *   device/unavailable, weights/missing, weights/shape, model/config, model/config-needed, adapter/config-needed, tiny-vae/other-latents
   */
  static async load(input: LoadInput): Promise<PhotoMaker> {
    const options = parseLoadOptions(input);
    const device = chooseDevice(options);
    const gauge = new MemoryGauge();
    const how = { threads: options.threads, device };
    const runtimes = [ortRuntime(how, gauge), ortRuntime({ ...how, spin: false }, gauge)] as const;
    try {
      return await PhotoMaker.#on(runtimes, device, options);
    } catch (error) {
      await closeAll(runtimes);
      throw error;
    }
  }

  /** @param runtimes the second is for models that compute while the first loads others; each has a process once it is needed */
  static async #on(runtimes: readonly [Runtime, Runtime], device: Device, options: LoadOptions): Promise<PhotoMaker> {
    const [runtime, beside] = runtimes;
    const deviceNotices = await runtime.open({ half: options.precision === "f16" });
    const model = await openModel(
      await resolveHubOrPath(options.model),
      options.modelConfig === undefined ? {} : { config: options.modelConfig },
    );
    const adapter = options.adapter === undefined ? undefined : await openAdapter(await resolveHubOrPath(options.adapter));
    const { pairs, metadata, notices } = await collectLoras(model, adapter, options.adapterScale, options.loras);
    const fewStepOf = (loras: LoadOptions["loras"], metadata: readonly Readonly<Record<string, string>>[]) =>
      detectFewStep([
        { kind: "model", path: model.path, metadata: model.metadata, scheduler: model.scheduler },
        ...loras.flatMap(({ path, scale }, i) => (scale > 0 ? [{ kind: "lora" as const, path, metadata: metadata[i]! }] : [])),
      ]);
    const fewStep = fewStepOf(options.loras, metadata);
    const unet = unetGraph(model, pairs);
    const text = [textGraph(model, TEXT_ENCODERS[0], pairs), textGraph(model, TEXT_ENCODERS[1], pairs)] as const;
    const vae = vaeGraph(model);
    const tinyVae = options.tinyVae === undefined ? undefined : await tinyVaeFor(vae, await resolveHubOrPath(options.tinyVae));
    const { readers, notices: read } = await readersOf(model, [text[0].settings, text[1].settings]);
    const identity = adapter && (await identityOf(adapter, unet.settings.contextDim));

    const sizes: ModelSizes = {
      encoders: [model.components.text_encoder.tensors, model.components.text_encoder_2.tensors, adapter?.idEncoder].map(
        numbersIn,
      ),
      ...{ unet: numbersIn(model.components.unet.tensors), unetChannels: unet.settings.channels[0]! },
    };
    const available = availableMemory();
    const need = (unloadAfterUse: boolean) => usualNeed(sizes, vae, unet.settings.sampleSize, unloadAfterUse);
    const {
      precision,
      form,
      notices: chosen,
    } = await choosePrecision(options, device, sizes.unet, { about: need(options.unloadAfterUse), available }, () =>
      probeEightBits(runtime),
    );
    const apart = precision !== "f16" && runsApart(device, sizes.unet, need(false)[precision], available);
    const encoders = apart ? beside : runtime;
    const lazy = <Name extends string>(
      name: string,
      outputs: Outputs<Name> | Prepare<Name>,
      half = false,
      on = runtime,
      always?: () => Feeds,
    ) => new LazySession(on, name, outputs, half, always);
    /**
     * A model in the precision that was chosen, with its LoRAs.
     * @param outputs of it or over the same weights
     * @param half false where float16 overflows
     * @param live LoRAs whose strengths may change while it is loaded, which in int8 they cannot
     */
    const inPrecision = <Name extends string>(
      whole: ToPrepare,
      outputs: Outputs<Name>,
      { name = whole.model, half = precision === "f16", on = runtime, live }: InPrecision = {},
    ) =>
      precision === "int8"
        ? lazy(name, inEightBits({ ...whole, form }, outputs), false, on)
        : live === undefined
          ? lazy(name, withLoras(outputs, whole.pairs), half, on)
          : lazy(name, withLoras(outputs, whole.pairs, true), half, on, () => loraScales(live.pairs));
    const from = basename(options.model);

    const textEncoder = (i: 0 | 1, graph: TextGraph, changes = 0, live?: Live): TextEncoder => {
      const { unfinished } = graph;
      const how = { on: encoders, ...(live && { live }) };
      const session = inPrecision({ model: TEXT_ENCODERS[i], from, ...unfinished }, unfinished.outputs, how);
      return { graph, session, changes };
    };
    const denoiser = (graph: UNetGraph, live?: Live): Models["unet"] => ({
      graph,
      sessions: new UNetSessions(graph.unfinished.outputs, (name, outputs) =>
        inPrecision({ model: "unet", from, ...graph.unfinished }, outputs, { name, ...(live && { live }) }),
      ),
    });
    const models: Models = {
      ...{ options, device, apart },
      room: device === "cpu" && precision !== "f16" ? { sizes, precision, available } : undefined,
      memory: () => runtime.peakMemory(),
      scheduler: model.scheduler,
      fewStep,
      cache: new EncodingCache(options.encodingCacheBytes),
      emptyIsNothing: model.emptyPromptIsNothing,
      readers,
      text: [textEncoder(0, text[0]), textEncoder(1, text[1])],
      identity: identity && {
        graph: identity,
        encode: inPrecision(
          { model: "id_encoder", from: basename(adapter.path), outputs: identity.encode, pairs: NO_PAIRS },
          identity.encode,
          { on: encoders },
        ),
        fuse: lazy("fuse_module", identity.fuse, false, encoders),
        everyToken: adapter.version === "v2",
      },
      unet: denoiser(unet),
      vae: {
        graph: vae,
        session: inPrecision({ model: "vae", from, outputs: vae.decode, pairs: NO_PAIRS }, vae.decode, { half: false }),
        largestWhole: precision === "int8" ? LARGEST_WHOLE.int8 : LARGEST_WHOLE.f32,
      },
      tinyVae: tinyVae && { graph: tinyVae, session: lazy("tiny_vae", tinyVae.decode), largestWhole: LARGEST_WHOLE.f32 },
    };
    /** LoRAs of models that were loaded since they were first changed: from then on strengths are inputs. */
    const live = new Map<ComponentName, Live>();
    /** Graphs and sessions of those models alone whose LoRAs become others; where only strengths do, sessions stay if they can. */
    const relora: Relora = async (before, options) => {
      const { pairs, metadata, notices } = await collectLoras(model, adapter, options.adapterScale, options.loras);
      const fewStep = fewStepOf(options.loras, metadata);
      const freed: (() => Promise<void>)[] = [];
      const taken: (() => void)[] = [];
      const changed = <M extends { readonly graph: { readonly unfinished: Unfinished } }>(
        name: ComponentName,
        one: M,
        again: (live: Live) => M,
        unload: () => Promise<void>,
      ): M => {
        const after = pairs.get(name) ?? NO_PAIRS;
        const { unfinished } = one.graph;
        if (isDeepStrictEqual(unfinished.pairs, after)) return one;
        const there = live.get(name);
        if (
          precision !== "int8" &&
          there !== undefined &&
          isDeepStrictEqual(withoutScales(unfinished.pairs), withoutScales(after))
        ) {
          taken.push(() => {
            there.pairs = after;
          });
          return { ...one, graph: { ...one.graph, unfinished: { ...unfinished, pairs: after } } };
        }
        const anew = { pairs: after };
        freed.push(unload);
        taken.push(() => void live.set(name, anew));
        return again(anew);
      };
      const textAfter = (i: 0 | 1): TextEncoder => {
        const [name, one] = [TEXT_ENCODERS[i], before.text[i]];
        const again = (own: Live) => textEncoder(i, textGraph(model, name, pairs), one.changes, own);
        const after = changed(name, one, again, () => one.session.unload());
        return after === one ? one : { ...after, changes: one.changes + 1 };
      };
      const { unet } = before;
      const models: Models = {
        ...{ ...before, options, fewStep, text: [textAfter(0), textAfter(1)] },
        unet: changed(
          "unet",
          unet,
          (own) => denoiser(unetGraph(model, pairs), own),
          () => unet.sessions.unload(),
        ),
      };
      for (const unload of freed) await unload();
      for (const take of taken) take();
      return { models, notices: [...notices, ...fewStepNotices(fewStep)] };
    };
    return new PhotoMaker(
      models,
      relora,
      runtimes,
      [...model.notices, ...read, ...notices, ...chosen, ...deviceNotices, ...fewStepNotices(fewStep), ...sizeNotices(vae)],
      { device, precision },
    );
  }

  /**
   * Makes pictures. Iterate over the events for progress, or await the result. Requests to one PhotoMaker wait for each other.
   * Cancelling, by the signal or by leaving the loop, takes effect before the next evaluation of the denoiser.
   * @throws UserError those of parseGenerateRequest and generate, when awaited or iterated; AbortError when cancelled
   */
  generate(input: GenerateInput, { signal }: { readonly signal?: AbortSignal } = {}): Generation<GenerateResult> {
    return new Generation(async (emit, both) => {
      const request = parseGenerateRequest(input);
      return this.#afterOthers(() => generate(this.#models, request, emit, both));
    }, signal);
  }

  /**
   * Makes the pictures of several requests side by side: for small pictures far quicker than one request after the other. They must have steps, scheduler,
   * guidance, eta and size in common.
   * @returns the pictures of each request, but for rounding those of {@link generate}
   * @throws TypeError if they differ in these; UserError as generate
   */
  async generateTogether(
    inputs: readonly GenerateInput[],
    { signal = new AbortController().signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<ImageEvent[][]> {
    const requests = inputs.map((input) => parseGenerateRequest(input));
    return this.#afterOthers(() => generateTogether(this.#models, requests, signal));
  }

  /**
   * Photos as ID tokens, for `idTokens` of a request: to use a person again without the photos, or to average and mix people.
   * @param idEmbeds face embeddings, for a V2 adapter, as in a request
   * @returns [photos · tokens of each, width]
   * @throws UserError id-images/missing, id-images/not-wanted; those of photos and face embeddings, as generate
   */
  encodeIdImages(
    inputIdImages: NonNullable<GenerateInput["inputIdImages"]>,
    { idEmbeds }: Pick<GenerateInput, "idEmbeds"> = {},
  ): Promise<FloatArray> {
    return this.#afterOthers(() => encodeIdImages(this.#models, { inputIdImages, idEmbeds }));
  }

  /**
   * Takes other LoRAs, or other strengths, for all requests that come after: what a fresh load with them gives. Models whose LoRAs stay the same,
   * and VAE and ID encoder always, stay in memory; the others are loaded again when they are next needed. In float32 and float16 that is all it
   * costs, and from the second time on nothing where only strengths change, but to or from 0. In int8 LoRAs are part of the rounded weights: a model that was not prepared with these before is prepared anew, as after a load.
   * @param loras all that there are to be, as in {@link load}; those that are not named are taken out
   * @param adapterScale strength of the adapter's LoRA; as it is when absent
   * @returns what the user should know about the files
   * @throws UserError those of parseLoadOptions and collectLoras; nothing has changed then
   */
  setLoras(
    loras: NonNullable<LoadInput["loras"]>,
    { adapterScale }: Pick<LoadInput, "adapterScale"> = {},
  ): Promise<readonly Notice[]> {
    return this.#afterOthers(async () => {
      const { options } = this.#models;
      const { models, notices } = await this.#relora(
        this.#models,
        parseLoadOptions({ ...options, loras, adapterScale: adapterScale ?? options.adapterScale }),
      );
      this.#models = models;
      return notices;
    });
  }

  /**
   * The work of one evaluation of the denoiser.
   * @param rows latents that are evaluated at once: pictures, twice with guidance
   * @param width of the picture, in pixels, as `height`
   */
  evaluationWork({ width, height, rows }: { readonly width: number; readonly height: number; readonly rows: number }): Work {
    const { unet, vae, text } = this.#models;
    const { outputs, pairs } = unet.graph.unfinished;
    const sizes = { batch: rows, tokens: text[0].graph.settings.positions };
    const latents = { height: height / vae.graph.factor, width: width / vae.graph.factor };
    // in 8 bits the LoRAs are part of the weights
    const { noise } = this.runsOn.precision === "int8" ? outputs : withLoras(outputs, pairs);
    return workOf([noise], new Map(Object.entries({ ...sizes, ...latents })));
  }

  /** Requests wait for each other. */
  #afterOthers<T>(start: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const work = (async () => {
      await before.catch(() => undefined);
      return start();
    })();
    this.#last = work;
    return work;
  }

  /**
   * Prepares all models for the precision that was chosen, so that the first picture need not wait. What is prepared is not done again.
   * @returns the names of the models that were prepared now or before; none in float32
   * @throws UserError those of prepare in runtime/prepare; AbortError when cancelled
   */
  async prepare({ signal, onProgress, onNotice }: PreparingOptions = {}): Promise<string[]> {
    const observer = {
      loading: () => {},
      loaded: () => {},
      noted: (notice: Notice) => onNotice?.(notice),
      preparing: (model: string, done: number, total: number) => {
        signal?.throwIfAborted();
        onProgress?.(model, done, total);
      },
    };
    const { text, identity, unet, vae } = this.#models;
    const prepared: string[] = [];
    for (const { name, prepare } of [
      ...text.map(({ session }) => ({ name: session.name, prepare: () => session.prepare(observer) })),
      ...(identity === undefined ? [] : [{ name: "id_encoder", prepare: () => identity.encode.prepare(observer) }]),
      { name: "unet", prepare: () => unet.sessions.prepare(observer) },
      { name: "vae", prepare: () => vae.session.prepare(observer) },
    ])
      if (await prepare()) prepared.push(name);
    return prepared;
  }

  /** Frees all memory at once. A request under way fails. */
  async close(): Promise<void> {
    await closeAll(this.#runtimes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const closeAll = (runtimes: readonly Runtime[]): Promise<unknown> => Promise.all(runtimes.map((runtime) => runtime.close()));

const numbersIn = (tensors: Tensors = new Map()): number =>
  [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);

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
  return tiny;
}

async function identityOf(adapter: AdapterFiles, contextDim: number) {
  const config = await readJsonIfThere(dirname(adapter.path), "photomaker-config.json");
  return idGraph(adapter, config, contextDim);
}

/** SDXL's first VAE overflows in half precision, in which no VAE is run, so nothing is said of it here; other factors than 8 are. */
function sizeNotices({ factor }: DecoderGraph): Notice[] {
  return factor === 8 ? [] : [{ code: "vae/factor", message: `This model's latents stand for ${factor}x${factor} pixels each.` }];
}
