import { describe, expect, test } from "vitest";
import type { NormalSource } from "../core/random/normal-source.ts";
import { TorchCpuGenerator } from "../core/random/torch-cpu-generator.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { createSampler, EDM_NAMES, SAMPLER_NAMES } from "./create-sampler.ts";
import { ddim, ddimOver } from "./ddim.ts";
import { dpmMultistepOver } from "./dpm-multistep.ts";
import { edmLadder } from "./edm.ts";
import { euler, eulerOver } from "./euler.ts";
import { toUnitVariance } from "./euler-schedule.ts";
import type { Latents, Query, Sampler } from "./sampler.ts";
import { solverLevel } from "./solver-schedule.ts";
import { unipcOver } from "./unipc.ts";

/** A run of diffusers: reference/edm_samplers.py. */
interface Case {
  readonly key: string;
  readonly class: string;
  readonly config: Record<string, unknown>;
  readonly steps: number;
  readonly from: number;
  readonly timesteps: number[];
  readonly sigmas: number[];
  readonly init_noise_sigma: number;
  readonly s_churn?: number;
  readonly s_noise?: number;
}

const { cases }: { cases: Case[] } = goldenJson("schedulers", "edm.json");
const golden = await goldenTensors("schedulers", "edm.safetensors");
const [original, unit] = [(await golden.floats("original")).data, (await golden.floats("noise")).data];
const size = original.length;

const denoiser = ({ sample, timestep }: Query): Latents => sample.map((v) => (v * Math.fround(timestep + 2)) / 4);
const noNoise: NormalSource = { randn: () => expect.fail("noise was drawn") };

function samplerFor(c: Case): Sampler {
  const { s_churn: churn, s_noise: noise } = c;
  return churn === undefined
    ? createSampler(undefined, { _class_name: c.class, ...c.config }, c.steps)
    : eulerOver(edmLadder(c.config, c.steps), { churn, noise: noise! });
}

test.each(cases)("a run over continuous noise levels equals that of diffusers: $key", async (c) => {
  const sampler = samplerFor(c);
  expect(sampler.timesteps).toMatchGolden(c.timesteps, 1e-6, { relative: true });
  for (const [i, sigma] of c.sigmas.entries()) expect([sampler.sigmas![i]!]).toMatchGolden([sigma], 2e-6, { relative: true });
  expect([sampler.initNoiseSigma]).toMatchGolden([c.init_noise_sigma], 1e-6, { relative: true });
  const { from } = c;
  const begin = from === 0 ? unit.map((v) => v * sampler.initNoiseSigma) : sampler.addNoise(original, unit, from);
  expect(begin).toMatchGolden((await golden.floats(`${c.key}.begin`)).data, 1e-5, { relative: true });
  const after = (await golden.floats(`${c.key}.after`)).data;
  const drawn = golden.has(`${c.key}.drawn`) ? (await golden.floats(`${c.key}.drawn`)).data : new Float32Array();
  let draws = 0;
  const noise: NormalSource = { randn: (count) => drawn.slice(draws * count, ++draws * count) };
  const sampling = sampler.sample(begin, { noise, from });
  let next = sampling.next();
  for (let index = from; !next.done; next = sampling.next(denoiser(next.value)), index++)
    if (index > from)
      expect(next.value.latents).toMatchGolden(after.slice((index - from - 1) * size, (index - from) * size), 1e-4, {
        relative: true,
      });
  expect(draws * size).toBe(drawn.length);
  expect(next.value).toMatchGolden(after.slice(-size), 1e-4, { relative: true });
});

const COSXL = { _class_name: "EDMEulerScheduler", sigma_max: 120, sigma_data: 1, prediction_type: "v_prediction" };
const PLAYGROUND = { _class_name: "EDMDPMSolverMultistepScheduler", sigma_data: 0.5 };

/** The end of a run of a model that knows the noise-free latents. */
function endOf(sampler: Sampler, noise: NormalSource, answer: (query: Query) => Latents): Latents {
  const sampling = sampler.sample(
    unit.map((v) => v * sampler.initNoiseSigma),
    { noise, eta: 0.5 },
  );
  let next = sampling.next();
  while (!next.done) next = sampling.next(answer(next.value));
  return next.value;
}

describe.each(EDM_NAMES)("%s over continuous noise levels", (name) => {
  test.each([
    ["CosXL", COSXL],
    ["Playground 2.5", PLAYGROUND],
  ])("ends at the picture that the model of %s sees", (_, config) => {
    const sampler = createSampler(name, config, 12);
    const velocity = config === COSXL;
    const knows = ({ latents, index }: Query): Latents => {
      const [sigma, data] = [sampler.sigmas![index]!, config.sigma_data];
      const total = Math.hypot(sigma, data);
      // equation 7 of Karras et al. 2022, solved for the model's output
      return latents.map((v, i) => ((velocity ? -1 : 1) * (original[i]! - (data / total) ** 2 * v) * total) / (sigma * data));
    };
    expect(endOf(sampler, new TorchCpuGenerator(1), knows)).toMatchGolden(original, 1e-4);
  });

  test("asks for latents of the deviation that the model was trained on, and says the noise by its logarithm", () => {
    const sampler = createSampler(name, PLAYGROUND, 5);
    const { value } = sampler.sample(unit, { noise: new TorchCpuGenerator(1) }).next() as { value: Query };
    expect(value.timestep).toBeCloseTo(Math.log(80) / 4, 6);
    expect(value.sample).toMatchGolden(
      unit.map((v) => v / Math.sqrt(80 ** 2 + 0.25)),
      1e-6,
      { relative: true },
    );
    expect([sampler.sigmas![0], sampler.sigmas!.at(-2), sampler.sigmas!.at(-1)]).toEqual([80, Math.fround(0.002), 0]);
  });
});

test("with deviation 1, velocity is the same as over latents whose variance is kept at 1", () => {
  const ladder = edmLadder({ sigma_min: 0.05, sigma_max: 10, sigma_data: 1, prediction_type: "v_prediction" }, 6);
  const told = { ...ladder, initNoiseSigma: 1 };
  const shared = { ...told, type: "v_prediction" as const, levels: ladder.sigmas.map(solverLevel) };
  const { scale: _, ...scaled } = shared;
  const kept = { ...told, levels: ladder.sigmas.map((sigma) => ({ alpha: 1, sigma, lambda: -Math.log(sigma) })) };
  const factor = 1 / Math.hypot(1, ladder.sigmas[0]!);
  const end = (sampler: Sampler, start: number): Latents => {
    const sampling = sampler.sample(
      unit.map((v) => v * start),
      { noise: new TorchCpuGenerator(2) },
    );
    let next = sampling.next();
    while (!next.done) next = sampling.next(denoiser(next.value));
    return next.value;
  };
  for (const config of [{}, { solver_order: 3 }, { solver_type: "bh1" }, { algorithm_type: "sde-dpmsolver++" }])
    expect(end(dpmMultistepOver(kept, config), 1)).toMatchGolden(end(dpmMultistepOver(scaled, config), factor), 1e-4);
  for (const config of [{}, { solver_order: 3 }, { solver_type: "bh1" }, { final_sigmas_type: "sigma_min" as const }])
    expect(end(unipcOver(kept, config), 1)).toMatchGolden(end(unipcOver(scaled, config), factor), 1e-4);
});

test("ddim without fresh noise is euler, and its fresh noise is that of DDIM", () => {
  const seeded = () => new TorchCpuGenerator(4);
  const end = (name: string, eta: number) => {
    const sampler = createSampler(name, PLAYGROUND, 8);
    const sampling = sampler.sample(unit, { noise: eta === 0 ? noNoise : seeded(), eta });
    let next = sampling.next();
    while (!next.done) next = sampling.next(denoiser(next.value));
    return next.value;
  };
  expect(end("ddim", 0)).toMatchGolden(end("euler", 0), 1e-5, { relative: true });
  expect(end("ddim", 1)).toMatchGolden(end("euler_a", 1), 1e-5, { relative: true });
});

test("ddim over given noise levels is DDIM over the same levels of SDXL's training", () => {
  const config = { prediction_type: "v_prediction", timestep_spacing: "trailing" } as const;
  const plain = ddim({ ...config, clip_sample: false }, 5);
  const { sigmas, timesteps } = euler(config, 5);
  const scale = (x: Latents, index: number): Latents => toUnitVariance(x, sigmas![index]!);
  const given = ddimOver({ timesteps, sigmas: sigmas!, type: "v_prediction", initNoiseSigma: 1, scale });
  const end = (sampler: Sampler, start: Latents): Latents => {
    const sampling = sampler.sample(start, { noise: new TorchCpuGenerator(5), eta: 0.5 });
    let next = sampling.next();
    while (!next.done) next = sampling.next(next.value.sample.map((v, i) => v / (i + 2)));
    return next.value;
  };
  expect(plain.timesteps).toEqual(timesteps);
  expect(end(given, unit)).toMatchGolden(end(plain, scale(unit, 0)), 1e-4, { relative: true });
});

test("names with Karras are spaced so, whatever the model's own spacing is", () => {
  const sigmas = (name: string) => createSampler(name, { ...COSXL, sigma_schedule: "exponential" }, 4).sigmas!;
  expect(sigmas("dpmpp_2m")[1]).toBeCloseTo(120 * (0.002 / 120) ** (1 / 3), 4);
  expect(sigmas("dpmpp_2m_karras")[1]).toBeCloseTo((120 ** (1 / 7) + (0.002 ** (1 / 7) - 120 ** (1 / 7)) / 3) ** 7, 4);
});

test("samplers over the timesteps of training are refused, and others are named", () => {
  const rest = SAMPLER_NAMES.filter((name) => !EDM_NAMES.includes(name));
  expect(rest).toEqual(["ddpm", "pndm", "lcm", "tcd"]);
  for (const name of rest)
    expect(() => createSampler(name, COSXL, 4)).toThrow(
      expect.objectContaining({ code: "scheduler/edm", remedy: `Choose one of ${EDM_NAMES.join(", ")}.` }),
    );
});

test.each([
  ["a prediction of the picture", { prediction_type: "sample" }, "scheduler/prediction"],
  ["no smallest noise", { sigma_min: 0 }, "scheduler/config"],
  ["a largest noise below the smallest", { sigma_max: 0.001 }, "scheduler/config"],
  ["a spacing that is not known", { sigma_schedule: "linear" }, "scheduler/config"],
  ["no deviation of the data", { sigma_data: 0 }, "scheduler/config"],
])("%s is refused", (_, config, code) => {
  expect(() => createSampler("euler", { ...PLAYGROUND, ...config }, 4)).toThrow(expect.objectContaining({ code }));
});
