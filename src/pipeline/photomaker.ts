import type { GenerateResult } from "../contract/events.ts";
import {
  type GenerateInput,
  type LoadInput,
  parseGenerateRequest,
  parseIdPhotos,
  parseLoadOptions,
} from "../contract/request.ts";
import type { FloatArray } from "../core/array.ts";
import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import { untilAborted } from "../core/until-aborted.ts";
import { type Work, workOf } from "../graph/work.ts";
import type { Device } from "../runtime/device.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { withLoras } from "../sessions/graphs.ts";
import { chooseDevice, type Precision } from "../sessions/precision.ts";
import { openRuntimes } from "../sessions/runtimes.node.ts";
import { encodeIdImages } from "./encode/encode.ts";
import { generate } from "./generate.ts";
import { Generation } from "./generation.ts";
import type { ChangeAdapters } from "./load/change-adapters.ts";
import { type LoadingOptions, localModels } from "./load/local-models.ts";
import { openModels } from "./load/open-models.ts";
import type { Opened } from "./load/opened.ts";
import { type PreparingOptions, prepareModels } from "./load/prepare-models.ts";
import { Progress } from "./progress.ts";
import { Queue } from "./queue.ts";

export interface RunsOn {
  readonly device: Device;
  readonly precision: Precision;
}

export interface CancelOptions {
  /** Rejects at once when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a change of adapter or LoRAs. `adapterScale` is the strength of the adapter's LoRA; unchanged when absent. */
export type ChangingOptions = Pick<LoadInput, "adapterScale"> & Omit<LoadingOptions, "revision">;

/**
 * A model with its adapter, ready to make pictures. Opening it checks every file, name and shape, and reads no weights. Weights are loaded
 * when they are first needed, and stay loaded: another prompt, photo, size, number of pictures or scheduler loads nothing again. Requests
 * run one after the other, in the order of the calls.
 */
export class PhotoMaker implements AsyncDisposable {
  #opened: Opened;
  readonly #changeAdapters: ChangeAdapters;
  readonly #runtimes: readonly Runtime[];
  readonly #queue = new Queue();
  /** Notices about the files. */
  readonly notices: readonly Notice[];
  /** Device and precision of the models. */
  readonly runsOn: RunsOn;

  private constructor(
    opened: Opened,
    changeAdapters: ChangeAdapters,
    runtimes: readonly Runtime[],
    notices: readonly Notice[],
    runsOn: RunsOn,
  ) {
    this.#opened = opened;
    this.#changeAdapters = changeAdapters;
    this.#runtimes = runtimes;
    this.notices = notices;
    this.runsOn = runsOn;
  }

  /**
   * Opens a model with its adapter and LoRAs. Models on the hub that are not in the cache are downloaded first.
   * @throws UserError those of parseLoadOptions, chooseDevice, localModels and openModels; when the signal is aborted, download/interrupted during a
   *   download, else the signal's reason
   */
  static async load(input: LoadInput, how: LoadingOptions = {}): Promise<PhotoMaker> {
    const options = parseLoadOptions(input);
    const device = chooseDevice(options);
    const runtimes = openRuntimes({ threads: options.threads, device });
    try {
      const ready = await untilAborted(runtimes[0].open({ half: options.precision === "f16" }), how.signal);
      const local = await localModels(options, how);
      const { opened, changeAdapters, precision, notices } = await untilAborted(
        openModels(runtimes, device, local, ready),
        how.signal,
      );
      return new PhotoMaker(opened, changeAdapters, runtimes, notices, { device, precision });
    } catch (error) {
      await closeAll(runtimes);
      throw error;
    }
  }

  /**
   * Makes pictures. Iterate over the events for progress, or await the result.
   * Cancelling, by the signal or by leaving the loop, rejects at once; the computation stops at the next evaluation of the denoiser.
   * @throws UserError those of parseGenerateRequest and generate, when awaited or iterated; AbortError when cancelled
   */
  generate(input: GenerateInput, { signal }: CancelOptions = {}): Generation<GenerateResult> {
    return new Generation(async (emit, both) => {
      const request = parseGenerateRequest(input);
      const [result] = await this.#queue.run(() => generate(this.#opened, [request], emit, both), both);
      return result!;
    }, signal);
  }

  /**
   * Makes the pictures of several requests in one batch: for small pictures far quicker than one request after the other. The requests must
   * have the same size, steps, scheduler, guidance, eta and shortcuts. Events carry the index of their request.
   * @returns the result of each request; its pictures are those of {@link generate}, except for rounding
   * @throws UserError requests/differ, requests/wrong-type, and those of generate
   */
  generateTogether(inputs: readonly GenerateInput[], { signal }: CancelOptions = {}): Generation<GenerateResult[]> {
    return new Generation(async (emit, both) => {
      const requests = parseRequests(inputs);
      return this.#queue.run(() => generate(this.#opened, requests, emit, both), both);
    }, signal);
  }

  /**
   * Encodes photos as ID tokens for `idTokens` of a request: to use a person again without the photos, or to average and mix people.
   * @param inputIdImages photos of one person, as in a request
   * @param idEmbeds face embeddings, for a V2 adapter, as in a request
   * @returns [photos · tokens of each, width]
   * @throws UserError id-images/missing, id-images/not-wanted, id-images/wrong-type; those of photos and face embeddings, as generate
   */
  async encodeIdImages(
    inputIdImages: NonNullable<GenerateInput["inputIdImages"]>,
    { idEmbeds, signal }: Pick<GenerateInput, "idEmbeds"> & CancelOptions = {},
  ): Promise<FloatArray> {
    const person = parseIdPhotos({ inputIdImages, idEmbeds });
    return this.#queue.run(() => encodeIdImages(this.#opened, person, new Progress(() => {}, signal)), signal);
  }

  /**
   * Replaces the LoRAs, or their strengths, for all later requests: pictures are those of a fresh load with them. Models whose LoRAs stay the
   * same, the VAE and the ID encoder stay in memory; the others are loaded again when they are next needed. In float32 and float16 that is
   * all it costs, and from the second change on a change of strengths alone costs nothing, except to or from 0. In int8 LoRAs are part of
   * the rounded weights: a model that was not prepared with these before is prepared anew, as after a load.
   * @param loras all LoRAs from now on, as in {@link load}; others are removed
   * @returns notices about the files; in int8 a notice about weights that are prepared anew
   * @throws UserError those of parseLoadOptions, localModels and collectLoras; nothing has changed then
   */
  setLoras(loras: NonNullable<LoadInput["loras"]>, how: ChangingOptions = {}): Promise<readonly Notice[]> {
    return this.#change({ loras }, how);
  }

  /**
   * Replaces the adapter, its ID encoder and its LoRA, for all later requests: pictures are those of a fresh load with it. The ID encoder and
   * the UNet are loaded again when they are next needed; costs are those of {@link setLoras}. LoRAs stay as they are.
   * @param adapter a file, a folder or a repository of the hub, as in {@link load}; plain SDXL when undefined
   * @returns notices about the files; in int8 a notice about weights that are prepared anew
   * @throws UserError those of parseLoadOptions, localModels, openAdapter and collectLoras; nothing has changed then
   */
  setAdapter(adapter: LoadInput["adapter"], how: ChangingOptions = {}): Promise<readonly Notice[]> {
    return this.#change({ adapter }, how);
  }

  #change(changes: Pick<LoadInput, "loras" | "adapter">, { adapterScale, ...how }: ChangingOptions): Promise<readonly Notice[]> {
    return this.#queue.run(async () => {
      const { options } = this.#opened;
      const wanted = parseLoadOptions({ ...options, ...changes, adapterScale: adapterScale ?? options.adapterScale });
      const { opened, notices } = await this.#changeAdapters(this.#opened, await localModels(wanted, how), how.signal);
      this.#opened = opened;
      return notices;
    }, how.signal);
  }

  /**
   * Counts the operations of one evaluation of the denoiser.
   * @param rows rows of the evaluation: one for each picture, two with guidance
   * @param width width of the picture in pixels, as `height`
   * @param chunks number of chunks of 75 tokens in the prompt
   * @throws UserError size/…, num-images/…
   */
  evaluationWork({
    width,
    height,
    rows,
    chunks = 1,
  }: {
    readonly width: number;
    readonly height: number;
    readonly rows: number;
    readonly chunks?: number;
  }): Work {
    parseGenerateRequest({ prompt: "any", width, height, numImagesPerPrompt: rows });
    const { unet, vae, text } = this.#opened;
    const { outputs, pairs } = unet.graph.unfinished;
    const sizes = { batch: rows, tokens: chunks * text[0].graph.config.positions };
    const latents = { height: height / vae.graph.factor, width: width / vae.graph.factor };
    // in 8 bits the LoRAs are part of the weights
    const { noise } = this.runsOn.precision === "int8" ? outputs : withLoras(outputs, pairs);
    return workOf([noise], new Map(Object.entries({ ...sizes, ...latents })));
  }

  /**
   * Prepares all models for the chosen precision, so that the first picture need not wait. Models that are prepared already are skipped.
   * @returns names of the models that are prepared, by this call or before; none in float32
   * @throws UserError those of prepare in runtime/node/prepare; AbortError when cancelled
   */
  async prepare(options: PreparingOptions = {}): Promise<string[]> {
    return this.#queue.run(() => prepareModels(this.#opened, options), options.signal);
  }

  /** Frees all memory at once. A running request fails. */
  async close(): Promise<void> {
    await closeAll(this.#runtimes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Parses requests; errors name the request, since there are several. */
const parseRequests = (inputs: readonly GenerateInput[]) => {
  if (!Array.isArray(inputs))
    throw new UserError(
      "requests/wrong-type",
      "The requests are not a list.",
      "Give a list of requests, each as generate takes it.",
    );
  return inputs.map((input, i) => parseGenerateRequest(input, (path) => ["requests", i, ...path].map(String).join(".")));
};

const closeAll = (runtimes: readonly Runtime[]): Promise<unknown> => Promise.all(runtimes.map((runtime) => runtime.close()));
