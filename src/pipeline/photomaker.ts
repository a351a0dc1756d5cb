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

/**
 * A model with its adapter, ready to make pictures. Opening it checks every file, name and shape, and reads no weights:
 * those are loaded when they are first needed, and stay, so that another prompt, photo, size, number of pictures or
 * scheduler loads nothing again. What is asked of it is done in the order of asking.
 */
export class PhotoMaker implements AsyncDisposable {
  readonly #opened: Opened;
  readonly #runtimes: readonly Runtime[];
  readonly #queue = new Queue();
  /** What the user should know about the files. */
  readonly notices: readonly Notice[];
  /** Where and how the models run. */
  readonly runsOn: RunsOn;

  private constructor(opened: Opened, runtimes: readonly Runtime[], notices: readonly Notice[], runsOn: RunsOn) {
    this.#opened = opened;
    this.#runtimes = runtimes;
    this.notices = notices;
    this.runsOn = runsOn;
  }

  /**
   * Opens a model with its adapter and LoRAs. What is named on the hub and not here yet is downloaded before.
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
      const { opened, precision, notices } = await untilAborted(openModels(runtimes, device, local, ready), how.signal);
      return new PhotoMaker(opened, runtimes, notices, { device, precision });
    } catch (error) {
      await closeAll(runtimes);
      throw error;
    }
  }

  /**
   * Makes pictures. Iterate over the events for progress, or await the result.
   * Cancelling, by the signal or by leaving the loop, rejects at once; what is being computed is given up at the next evaluation of the denoiser.
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
   * Makes the pictures of several requests side by side: for small pictures far quicker than one request after the other. They must have size,
   * steps, scheduler, guidance, eta and shortcuts in common. Events name the request that they are about.
   * @returns the result of each request, its pictures but for rounding those of {@link generate}
   * @throws UserError requests/differ; as generate
   */
  generateTogether(inputs: readonly GenerateInput[], { signal }: CancelOptions = {}): Generation<GenerateResult[]> {
    return new Generation(async (emit, both) => {
      const requests = parseRequests(inputs);
      return this.#queue.run(() => generate(this.#opened, requests, emit, both), both);
    }, signal);
  }

  /**
   * Photos as ID tokens, for `idTokens` of a request: to use a person again without the photos, or to average and mix people.
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
   * The work of one evaluation of the denoiser.
   * @param rows latents that are evaluated at once: pictures, twice with guidance
   * @param width of the picture, in pixels, as `height`
   * @param chunks of 75 tokens that the prompt has
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
    const sizes = { batch: rows, tokens: chunks * text[0].graph.settings.positions };
    const latents = { height: height / vae.graph.factor, width: width / vae.graph.factor };
    // in 8 bits the LoRAs are part of the weights
    const { noise } = this.runsOn.precision === "int8" ? outputs : withLoras(outputs, pairs);
    return workOf([noise], new Map(Object.entries({ ...sizes, ...latents })));
  }

  /**
   * Prepares all models for the precision that was chosen, so that the first picture need not wait. What is prepared is not done again.
   * @returns the names of the models that were prepared now or before; none in float32
   * @throws UserError those of prepare in runtime/node/prepare; AbortError when cancelled
   */
  async prepare(options: PreparingOptions = {}): Promise<string[]> {
    return this.#queue.run(() => prepareModels(this.#opened, options), options.signal);
  }

  /** Frees all memory at once. A request under way fails. */
  async close(): Promise<void> {
    await closeAll(this.#runtimes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** What is wrong with one of several requests says which one it is. */
const parseRequests = (inputs: readonly GenerateInput[]) => {
  if (!Array.isArray(inputs))
    throw new UserError(
      "requests/wrong-type",
      "The requests are no list.",
      "Give a list of requests, each as generate takes it.",
    );
  return inputs.map((input, i) => parseGenerateRequest(input, (path) => ["requests", i, ...path].map(String).join(".")));
};

const closeAll = (runtimes: readonly Runtime[]): Promise<unknown> => Promise.all(runtimes.map((runtime) => runtime.close()));
