import { afterAll, expect, test } from "vitest";
import { floats } from "../core/array.ts";
import { gaussians } from "../core/random/gaussians.ts";
import { seededRandom } from "../core/random/seeded-random.ts";
import { input } from "../graph/ops/source.ts";
import { ortRuntime } from "../runtime/node/ort-runtime.ts";
import { scattered } from "../testing/finite-differences.ts";
import { diffusionInputs, diffusionLoss, minSnrWeight, noiseFeeds, type Prediction } from "./diffusion.ts";

const runtime = ortRuntime({ threads: 1 });
afterAll(() => runtime.close());

/** The loss as the paper writes it, on the clean image: an error weighted by min(SNR, gamma). */
test.each(["epsilon", "v_prediction"] as const)("min-SNR weighs the error of the clean image: %s", (prediction) => {
  for (const alpha of [0.001, 0.3, 0.833, 0.99, 0.9999]) {
    const [signal, sigma] = [Math.sqrt(alpha), Math.sqrt(1 - alpha)];
    const snr = alpha / (1 - alpha);
    // an error d of the prediction is an error of d times this in the clean image
    const inPicture = prediction === "epsilon" ? sigma / signal : sigma;
    expect(minSnrWeight(alpha, 5, prediction)).toBeCloseTo(Math.min(snr, 5) * inPicture ** 2, 10);
  }
});

test("min-SNR is finite where no signal is left", () => {
  expect(minSnrWeight(0, 5, "epsilon")).toBe(1);
  expect(minSnrWeight(0, 5, "v_prediction")).toBe(0);
});

test.each(["epsilon", "v_prediction"] as Prediction[])(
  "a model that knows the clean image has no loss: %s",
  async (prediction) => {
    const dims = [3, 2, 2, 2] as const;
    const alphas = Float32Array.from({ length: 1000 }, (_, t) => 1 - (t + 1) / 1001);
    const diffusion = diffusionInputs(dims, prediction);
    const { loss, plain } = diffusionLoss(diffusion.target, diffusion);
    const session = await runtime.load({ loss, plain, noisy: diffusion.noisy, target: diffusion.target });
    const latents = floats(scattered(24), ...dims);
    const noise = noiseFeeds(seededRandom(3), dims, alphas);
    const weight = floats(new Float32Array(12).fill(1), 3, 1, 2, 2);
    const out = await session.run({ latents, ...noise, weight }, ["loss", "noisy", "target"]);
    expect(out.loss.data[0]).toBe(0);
    const { data: t } = noise.timestep! as { data: Float32Array };
    for (let i = 0; i < 24; i++) {
      const alpha = alphas[t[Math.floor(i / 8)]!]!;
      const [x, e] = [latents.data[i]!, (noise.noise as { data: Float32Array }).data[i]!];
      expect(out.noisy.data[i]).toBeCloseTo(Math.sqrt(alpha) * x + Math.sqrt(1 - alpha) * e, 5);
      const target = prediction === "epsilon" ? e : Math.sqrt(alpha) * e - Math.sqrt(1 - alpha) * x;
      expect(out.target.data[i]).toBeCloseTo(target, 5);
    }
  },
);

test("the loss is the mean squared error, weighted per latent pixel across channels; `plain` is unweighted", async () => {
  const dims = [2, 2, 1, 2] as const;
  const diffusion = diffusionInputs(dims, "epsilon");
  const session = await runtime.load(diffusionLoss(input("output", dims), diffusion));
  const noise = floats(new Float32Array(8), ...dims);
  const output = floats(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), ...dims);
  const weight = floats(Float32Array.of(1, 0, 0.5, 2), 2, 1, 1, 2);
  const { loss, plain } = await session.run({ output, noise, weight });
  expect(loss.data[0]).toBe((1 + 9 + 0.5 * (25 + 49) + 2 * (36 + 64)) / 8);
  expect(plain.data[0]).toBe((1 + 4 + 9 + 16 + 25 + 36 + 49 + 64) / 8);
});

test("a timestep's signal and sigma follow from its cumulative alpha", () => {
  const alphas = Float32Array.of(0.81, 0.36);
  const { timestep, signal, sigma, noise } = noiseFeeds(seededRandom(5), [2, 1, 1, 3], alphas);
  expect([...timestep!.data]).toEqual([0, 1]); // one in each half
  expect(signal!.data as Float32Array).toMatchGolden([0.9, 0.6], 1e-6);
  expect(sigma!.data as Float32Array).toMatchGolden([Math.sqrt(0.19), 0.8], 1e-6);
  // the stream's first number shifts the timesteps; the noise follows
  const random = seededRandom(5);
  random.uniform();
  expect(noise!.data).toEqual(gaussians(random, 6));
});

test("with a power below 1, late timesteps are drawn more often", () => {
  const alphas = new Float32Array(1000).fill(0.5);
  const { timestep } = noiseFeeds(seededRandom(1), [100, 1, 1, 1], alphas, 0.5);
  const late = Array.from(timestep!.data, Number).filter((t) => t >= 500).length;
  expect(late).toBe(75); // a share u lies below u^0.5: a quarter below the half
});

test("the timesteps of a batch spread over the whole schedule", () => {
  const alphas = new Float32Array(1000).fill(0.5);
  const { timestep } = noiseFeeds(seededRandom(1), [4, 1, 1, 1], alphas);
  for (const [i, t] of Array.from(timestep!.data, Number).entries()) {
    expect(t).toBeGreaterThanOrEqual(i * 250);
    expect(t).toBeLessThan((i + 1) * 250);
  }
});
