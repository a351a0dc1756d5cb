import { describe, expect, test } from "vitest";
import type { NormalSource } from "../core/random/normal-source.ts";
import { TorchCpuGenerator } from "../core/random/torch-cpu-generator.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { createSampler } from "./create-sampler.ts";
import { euler } from "./euler.ts";
import type { Latents, Sampler } from "./sampler.ts";

interface Schedule {
  readonly timesteps: number[];
  readonly init_noise_sigma: number;
  readonly sigmas?: number[];
}
interface Case {
  readonly name: string;
  readonly class: string;
  readonly kwargs: Record<string, unknown>;
  readonly set_timesteps_kwargs: Record<string, unknown>;
  readonly step_kwargs: { eta?: number; s_churn?: number; s_noise?: number };
  readonly schedules: Record<string, Schedule>;
  readonly loops: Record<string, { tensors: string; noise_draws: number }>;
}

const golden = goldenJson("schedulers", "schedules.json");
const known = new Set(
  ["Euler", "EulerAncestral", "Heun"]
    .map((n) => `${n}DiscreteScheduler`)
    .concat(["DDIM", "DDPM", "PNDM", "DPMSolverMultistep", "UniPCMultistep", "LCM", "TCD"].map((n) => `${n}Scheduler`)),
);
const cases = (golden.cases as Case[]).filter((c) => known.has(c.class));
const tensors = await goldenTensors("schedulers", "loops.safetensors");

function samplerOf(c: Case, steps: number): Sampler {
  const config = { ...golden.base_config, ...c.kwargs, ...c.set_timesteps_kwargs };
  const { s_churn: churn, s_noise: noise } = c.step_kwargs;
  return churn === undefined ? createSampler(c.class, config, steps) : euler(config, steps, { churn, noise: noise! });
}

/** Gives out the noise of a recorded run, and counts. */
function recorded(data: Float32Array, size: number): NormalSource & { draws: number } {
  return {
    draws: 0,
    randn(count) {
      expect(count).toBe(size);
      this.draws++;
      return data.slice((this.draws - 1) * size, this.draws * size);
    },
  };
}

const denoiser = (x: Latents, t: number): Latents => x.map((v) => v * Math.fround(Math.fround(t) / Math.fround(t + 1)));

describe.each(cases)("$name", (c) => {
  test.each(Object.entries(c.schedules))("the schedule of %s steps equals that of diffusers", (steps, expected) => {
    const sampler = samplerOf(c, Number(steps));
    const whole = expected.timesteps.every(Number.isInteger);
    // timesteps with a fraction follow from logarithms, which differ by a unit in the last place among libraries
    expect(sampler.timesteps).toMatchGolden(expected.timesteps, whole ? 0 : 1.5e-7, { relative: true });
    expect([sampler.initNoiseSigma]).toMatchGolden([expected.init_noise_sigma], 1e-5, { relative: true });
    if (expected.sigmas === undefined) return;
    for (const [i, sigma] of expected.sigmas.entries())
      expect([sampler.sigmas![i]!]).toMatchGolden([sigma], 1e-5, { relative: true });
  });

  test.each(Object.entries(c.loops))(
    "a run of %s steps equals that of diffusers",
    async (steps, { tensors: name, noise_draws }) => {
      const sampler = samplerOf(c, Number(steps));
      const start = (await tensors.floats(`${name}.init`)).data;
      const expected = await tensors.floats(`${name}.steps`);
      const noise = tensors.has(`${name}.noise`) ? (await tensors.floats(`${name}.noise`)).data : new Float32Array();
      const source = recorded(noise, start.length);
      const sampling = sampler.sample(start, { noise: source, eta: c.step_kwargs.eta });
      let index = 0;
      let result = sampling.next();
      while (!result.done) {
        const { value } = result;
        expect(value.index).toBe(index);
        if (index > 0 && c.class !== "HeunDiscreteScheduler")
          expect(value.latents).toMatchGolden(expected.data.slice((index - 1) * start.length, index * start.length), 1e-4, {
            relative: true,
          });
        result = sampling.next(denoiser(value.sample, value.timestep));
        index++;
      }
      expect(index).toBe(sampler.timesteps.length);
      expect(source.draws).toBe(noise_draws);
      expect(result.value).toMatchGolden(expected.data.slice(-start.length), 1e-4, { relative: true });
    },
  );
});

test("the noise of a run comes from the seed's own generator", async () => {
  const { data } = await tensors.floats("euler_a.5.noise");
  const generator = new TorchCpuGenerator(golden.seed);
  const size = data.length / 5;
  for (let i = 0; i < 5; i++) expect(generator.randn(size)).toMatchGolden(data.slice(i * size, (i + 1) * size), 5e-6);
});

test.each([10, 25, 50])(
  "DDIM with eta 1 starts from pure noise, where a variance may be rounded below 0, in %d steps",
  (steps) => {
    const zeroSnr = {
      rescale_betas_zero_snr: true,
      prediction_type: "v_prediction",
      timestep_spacing: "trailing",
      clip_sample: false,
    };
    const sampler = createSampler("DDIMScheduler", { ...golden.base_config, ...zeroSnr }, steps);
    const noise = new TorchCpuGenerator(0);
    const sampling = sampler.sample(noise.randn(16), { noise, eta: 1 });
    let next = sampling.next();
    while (!next.done) next = sampling.next(denoiser(next.value.sample, next.value.timestep));
    expect(next.value.every(Number.isFinite)).toBe(true);
  },
);

describe("for normally distributed data, whose optimal denoiser is known", () => {
  const exact = (sampler: Sampler): number => 1 / Math.hypot(1, sampler.sigmas![0]!);
  const errorOf = (name: string, steps: number): number => {
    const sampler = createSampler(
      name,
      { ...golden.base_config, timestep_spacing: "linspace", use_karras_sigmas: true, final_sigmas_type: "sigma_min" },
      steps,
    );
    const scale = sampler.initNoiseSigma === 1 ? 1 : sampler.sigmas![0]!;
    const sampling = sampler.sample(Float32Array.of(scale), { noise: { randn: () => expect.fail("noise was drawn") } });
    let result = sampling.next();
    while (!result.done) {
      const { latents, index } = result.value;
      const level = sampler.sigmas![index]!;
      const kept = sampler.initNoiseSigma !== 1;
      const noise = kept ? (latents[0]! * level) / (level * level + 1) : (latents[0]! * level) / Math.hypot(1, level);
      result = sampling.next(Float32Array.of(noise));
    }
    const last = sampler.sigmas!.at(-1)!;
    const there = sampler.initNoiseSigma === 1 ? 1 : Math.hypot(1, last);
    return Math.abs(
      result.value[0]! / (scale * exact(sampler) * (sampler.initNoiseSigma === 1 ? Math.hypot(1, sampler.sigmas![0]!) : there)) -
        1,
    );
  };
  test.each([
    ["euler", 2],
    ["dpmpp_2m", 4],
  ] as const)("%s: twice the steps divide the error by about %d", (name, ratio) => {
    const factor = errorOf(name, 20) / errorOf(name, 40);
    expect(factor).toBeGreaterThan(ratio * 0.7);
    expect(factor).toBeLessThan(ratio * 1.6);
  });
});

test.each([
  ["an unknown scheduler", "eulr", {}, 10, "scheduler/unknown"],
  ["no steps", "euler", {}, 0, "steps/invalid"],
  ["a fraction of a step", "ddim", {}, 2.5, "steps/invalid"],
  ["more steps than training had", "ddim", {}, 1001, "steps/invalid"],
  ["more steps than were distilled", "lcm", {}, 51, "steps/invalid"],
  ["two spacings of sigmas", "euler", { use_karras_sigmas: true, use_beta_sigmas: true }, 10, "scheduler/config"],
  ["an unknown prediction", "euler", { prediction_type: "flow" }, 10, "scheduler/config"],
  ["dynamic thresholding", "ddim", { thresholding: true }, 10, "scheduler/config"],
  ["a model that predicts the picture, for euler_a", "euler_a", { prediction_type: "sample" }, 10, "scheduler/prediction"],
  ["an unknown solver", "dpmpp_2m", { algorithm_type: "dpmsolver" }, 10, "scheduler/config"],
])("%s is refused", (_, name, config, steps, code) => {
  expect(() => createSampler(name, { ...golden.base_config, ...config }, steps)).toThrow(expect.objectContaining({ code }));
});

test("TCD takes an eta from 0 to 1 only", () => {
  const first = (eta: number) =>
    createSampler("tcd", golden.base_config, 4)
      .sample(Float32Array.of(1), { noise: new TorchCpuGenerator(0), eta })
      .next();
  expect(first(1).done).toBe(false);
  for (const eta of [-0.1, 1.1]) expect(() => first(eta)).toThrow(expect.objectContaining({ code: "eta/invalid" }));
});
