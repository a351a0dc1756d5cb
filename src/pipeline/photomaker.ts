import { dirname } from "node:path";
import type { Notice } from "../core/notice.ts";
import type { Device } from "../runtime/encode-model.ts";
import { ortRuntime } from "../runtime/ort-runtime.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type AdapterFiles, openAdapter } from "../weights/adapter.ts";
import { resolveHubOrPath } from "../weights/hub/index.ts";
import { openModel } from "../weights/model.ts";
import { readJsonIfThere } from "../weights/read-json.ts";
import type { ImageEvent } from "./events.ts";
import { type GenerateResult, generate, generateTogether } from "./generate.ts";
import { Generation } from "./generation.ts";
import { idGraph, textGraph, unetGraph, type VaeGraph, vaeGraph } from "./graphs.ts";
import { LazySession } from "./lazy-session.ts";
import { collectLoras } from "./loras.ts";
import type { Models } from "./models.ts";
import { readersOf } from "./readers.ts";
import { type GenerateInput, type LoadInput, type LoadOptions, parseGenerateRequest, parseLoadOptions } from "./request.ts";
import { UNetSessions } from "./unet-sessions.ts";

/**
 * A model with its adapter, ready to make pictures. Opening it checks every file, name and shape, and reads no weights:
 * those are loaded when they are first needed, and stay, so that another prompt, photo, size, number of pictures or
 * scheduler loads nothing again.
 */
export class PhotoMaker implements AsyncDisposable {
  readonly #models: Models;
  readonly #runtime: Runtime;
  #last: Promise<unknown> = Promise.resolve();
  /** What the user should know about the files. */
  readonly notices: readonly Notice[];

  private constructor(models: Models, runtime: Runtime, notices: readonly Notice[]) {
    this.#models = models;
    this.#runtime = runtime;
    this.notices = notices;
  }

  /**
   * @throws UserError those of parseLoadOptions, resolveHubOrPath, openModel, openAdapter and collectLoras, and weights/missing, weights/shape,
   *   model/config, model/config-needed, adapter/config-needed
   */
  static async load(input: LoadInput): Promise<PhotoMaker> {
    const options = parseLoadOptions(input);
    const model = await openModel(
      await resolveHubOrPath(options.model),
      options.modelConfig === undefined ? {} : { config: options.modelConfig },
    );
    const adapter = options.adapter === undefined ? undefined : await openAdapter(await resolveHubOrPath(options.adapter));
    const { pairs, notices } = await collectLoras(model, adapter, options.adapterScale, options.loras);
    const { device, notices: chosen } = chooseDevice(options);
    const runtime = ortRuntime({ threads: options.threads, device });
    const lazy = <Name extends string>(name: string, outputs: ConstructorParameters<typeof LazySession<Name>>[2]) =>
      new LazySession(runtime, name, outputs);

    const unet = unetGraph(model, pairs);
    const text = [textGraph(model, "text_encoder", pairs), textGraph(model, "text_encoder_2", pairs)] as const;
    const vae = vaeGraph(model);
    const { readers, notices: read } = await readersOf(model, [text[0].settings, text[1].settings]);
    const identity = adapter && (await identityOf(adapter, unet.settings.contextDim));
    const models: Models = {
      options,
      scheduler: model.scheduler,
      emptyIsNothing: model.emptyPromptIsNothing,
      readers,
      text: [
        { graph: text[0], session: lazy("text_encoder", text[0].outputs) },
        { graph: text[1], session: lazy("text_encoder_2", text[1].outputs) },
      ],
      identity: identity && {
        graph: identity,
        encode: lazy("id_encoder", identity.encode),
        fuse: lazy("fuse_module", identity.fuse),
        everyToken: adapter.version === "v2",
      },
      unet: { graph: unet, sessions: new UNetSessions(unet, runtime) },
      vae: { graph: vae, session: lazy("vae", vae.decode) },
    };
    return new PhotoMaker(models, runtime, [...model.notices, ...read, ...notices, ...chosen, ...sizeNotices(vae)]);
  }

  /**
   * Makes pictures. Iterate over the events for progress, or await the result. Requests to one PhotoMaker wait for each other.
   * Cancelling, by the signal or by leaving the loop, takes effect before the next evaluation of the denoiser.
   * @throws UserError those of parseGenerateRequest and generate, when awaited or iterated; AbortError when cancelled
   */
  generate(input: GenerateInput, { signal }: { readonly signal?: AbortSignal } = {}): Generation<GenerateResult> {
    return new Generation(async (emit, both) => {
      const request = parseGenerateRequest(input);
      const before = this.#last;
      const work = (async () => {
        await before.catch(() => undefined);
        return generate(this.#models, request, emit, both);
      })();
      this.#last = work;
      return work;
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
    const before = this.#last;
    const work = (async () => {
      await before.catch(() => undefined);
      return generateTogether(this.#models, requests, signal);
    })();
    this.#last = work;
    return work;
  }

  /** Frees all memory. A request under way fails. */
  async close(): Promise<void> {
    await this.#runtime.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Without a wish, the processor: it is everywhere, and its numbers are the reference's. */
function chooseDevice({ device, precision }: LoadOptions): { readonly device: Device; readonly notices: readonly Notice[] } {
  if (device !== "auto") return { device, notices: [] };
  const message = `Runs on the processor (cpu) in ${precision === "auto" ? "f32" : precision}.`;
  return { device: "cpu", notices: [{ code: "device/chosen", message }] };
}

async function identityOf(adapter: AdapterFiles, contextDim: number) {
  const config = await readJsonIfThere(dirname(adapter.path), "photomaker-config.json");
  return idGraph(adapter, config, contextDim);
}

/** SDXL's first VAE overflows in half precision only, so nothing is said of it here; other factors than 8 are. */
function sizeNotices({ factor }: VaeGraph): Notice[] {
  return factor === 8 ? [] : [{ code: "vae/factor", message: `This model's latents stand for ${factor}x${factor} pixels each.` }];
}
