import sharp from "sharp";
import { afterAll, expect, test } from "vitest";
import { parseGenerateRequest } from "../contract/request.ts";
import { floats } from "../core/array.ts";
import { TorchCpuGenerator } from "../core/random/torch-cpu-generator.ts";
import { Checkpoint } from "../graph/checkpoint.ts";
import { input } from "../graph/ops/source.ts";
import { Weights } from "../graph/weights.ts";
import { decodePhoto, fromPicture } from "../image/index.ts";
import { vaeEncode } from "../models/vae.ts";
import { vaeConfig } from "../models/vae-config.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { askAbout } from "../samplers/ask.ts";
import { createSampler } from "../samplers/create-sampler.ts";
import type { Latents, Query, Sampler } from "../samplers/sampler.ts";
import { startFor } from "../samplers/starts.ts";
import { EncodingCache } from "../sessions/encoding-cache.ts";
import { textGraph, unetGraph, vaeGraph } from "../sessions/graphs.ts";
import { LazySession } from "../sessions/lazy-session.ts";
import { readPrompts } from "../sessions/text/prompts.ts";
import { readersOf } from "../sessions/text/readers.node.ts";
import { encodeText, noText } from "../sessions/text/text-stage.ts";
import { LoadedUNet } from "../sessions/unet-form.ts";
import { goldenPath } from "../testing/golden.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { silent } from "../testing/tiny-model.ts";
import { openModel } from "../weights/index.ts";
import { decodeLatents } from "./decode/decode.ts";
import { type DenoiserOptions, evaluate } from "./denoise/denoiser.ts";
import { textGuidance } from "./denoise/text-guidance.ts";
import { settle } from "./settle.ts";

// The reference's image-to-image pictures, drawn with the modules that an image-to-image request will use.

const model = await openModel(goldenPath("tiny-sdxl"));
const runtime = ortRuntime();
afterAll(() => runtime.close());
const [text, unet, vae] = [
  [textGraph(model, "text_encoder", new Map()), textGraph(model, "text_encoder_2", new Map())] as const,
  unetGraph(model, new Map()),
  vaeGraph(model),
];

/** Latents of a picture, sampled from the VAE's distribution as diffusers does. @returns [4, h, w], scaled */
async function encoded(path: string, generator: TorchCpuGenerator): Promise<Latents> {
  const picture = await decodePhoto(path);
  const { tensors, config: json } = model.components.vae;
  const config = vaeConfig(json, tensors);
  const pixels = [1, 3, picture.height, picture.width];
  const posterior = vaeEncode(input("pixels", pixels), new Weights(new Checkpoint(tensors, "vae")), config);
  const session = await runtime.load({ mean: posterior.mean, logVariance: posterior.logVariance });
  const { mean, logVariance } = await session.run({ pixels: floats(fromPicture(picture), ...pixels) });
  await session.close();
  const noise = generator.randn(mean.data.length);
  return noise.map((z, i) => {
    const deviation = Math.exp(0.5 * Math.min(20, Math.max(-30, Number(logVariance.data[i]))));
    return config.scalingFactor * (Number(mean.data[i]) + deviation * z);
  });
}

/** The UNet with guidance, for a prompt without a negative one. */
async function denoiserFor(prompt: string, guidanceScale: number, side: number) {
  const { readers } = await readersOf(model, [text[0].config, text[1].config]);
  const encoders = [
    { graph: text[0], session: new LazySession(runtime, "text_encoder", text[0].unfinished.outputs), changes: 0 },
    { graph: text[1], session: new LazySession(runtime, "text_encoder_2", text[1].unfinished.outputs), changes: 0 },
  ] as const;
  const ids = readPrompts(readers, { prompt }, undefined, model.emptyPromptIsZeros).text;
  const told = await encodeText(encoders, ids, 0, new EncodingCache(0), silent);
  const part = { name: "unet", outputs: unet.unfinished.outputs, gives: {} };
  const loaded = new LoadedUNet([{ part, session: await runtime.load(part.outputs) }]);
  const pixels = side * vae.factor;
  const request = settle(parseGenerateRequest({ prompt, guidanceScale }), undefined).request;
  const prepared = { request, texts: { text: told, identity: undefined, negative: noText(encoders) }, seed: 0 };
  const denoiser: DenoiserOptions = {
    unet: loaded,
    guidance: textGuidance([prepared], [pixels, pixels], Number.MAX_SAFE_INTEGER),
    extensions: [],
    dims: [1, vae.config.latentChannels, side, side],
    device: "cpu",
  };
  return (query: Query): Promise<Latents> => evaluate(denoiser, query);
}

interface Begun {
  readonly sampler: Sampler;
  readonly from: number;
  readonly original: Latents;
  readonly noise: Latents;
  readonly generator: TorchCpuGenerator;
}

/** Latents and noise of a case: the noise of the VAE's sample is drawn first, then that of the latents. */
async function begin(name: string): Promise<Begun> {
  const { arguments: a, scheduler } = goldenJson("later", name, "case.json");
  const sampler = createSampler(a.scheduler, scheduler.config, a.steps);
  const generator = new TorchCpuGenerator(a.seed);
  const original = await encoded(goldenPath("later", name, "init.png"), generator);
  const from = startFor(a.strength, a.steps, sampler.starts);
  return { sampler, from, original, noise: generator.randn(original.length), generator };
}

async function expectGolden(name: string, final: Latents, side: number): Promise<void> {
  const golden = await goldenTensors("later", name, "expected.safetensors");
  expect(final).toMatchGolden((await golden.floats("latents_final")).data, 3e-2);
  const decoder = { graph: vae, session: new LazySession(runtime, "vae", vae.decode), largestWhole: Number.POSITIVE_INFINITY };
  const plane = { channels: vae.config.latentChannels, height: side, width: side, data: final };
  const { data } = await decodeLatents(decoder, plane, silent);
  const expected = await sharp(goldenPath("later", name, "image_0.png"))
    .removeAlpha()
    .raw()
    .toBuffer();
  expect(data).toMatchGolden(expected, 2);
  const mean = expected.reduce((sum, v, i) => sum + Math.abs(v - data[i]!), 0) / expected.length;
  expect(mean).toBeLessThan(0.02);
}

test("image-to-image gives the reference's picture", async () => {
  const { arguments: a } = goldenJson("later", "img2img", "case.json");
  const side = a.width / vae.factor;
  const { sampler, from, original, noise, generator } = await begin("img2img");
  const answer = await denoiserFor(a.prompt, a.guidance_scale, side);
  const sampling = sampler.sample(sampler.addNoise(original, noise, from), { noise: generator, from });
  let next = sampling.next();
  while (!next.done) next = sampling.next(await answer(next.value));
  await expectGolden("img2img", next.value, side);
});

test("inpainting that restores known latents after each step gives the reference's picture", async () => {
  const { arguments: a } = goldenJson("later", "inpaint", "case.json");
  const side = a.width / vae.factor;
  const mask = await decodePhoto(goldenPath("later", "inpaint", "mask.png"));
  const { sampler, from, original, noise, generator } = await begin("inpaint");
  const answer = await denoiserFor(a.prompt, a.guidance_scale, side);
  /** Restores known latents where the mask, scaled by nearest neighbour, is black. */
  const putBack = (known: Latents, latents: Latents): Latents =>
    latents.map((v, i) => {
      const [x, y] = [i % side, Math.floor(i / side) % side];
      const white = mask.data[3 * vae.factor * (y * mask.width + x)]! >= 128;
      return white ? v : known[i]!;
    });
  const sampling = sampler.sample(sampler.addNoise(original, noise, from), { noise: generator, from });
  let next = sampling.next();
  while (!next.done) {
    const { index, latents } = next.value;
    const query = index === from ? next.value : askAbout(sampling, putBack(sampler.addNoise(original, noise, index), latents));
    next = sampling.next(await answer(query));
  }
  await expectGolden("inpaint", putBack(original, next.value), side);
});
