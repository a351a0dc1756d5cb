import { describe, expect, test } from "vitest";
import type { NormalSource } from "../core/random/normal-source.ts";
import { TorchCpuGenerator } from "../core/random/torch-cpu-generator.ts";
import { goldenJson, goldenTensors } from "../testing/tensors.ts";
import { askAbout } from "./ask.ts";
import { createSampler, SAMPLER_NAMES } from "./create-sampler.ts";
import { combine, type Latents, type Query, type SampleOptions, type Sampler } from "./sampler.ts";
import { startFor } from "./starts.ts";

/** A run of diffusers that began in the middle: reference/img2img_samplers.py. */
interface Case {
  readonly key: string;
  readonly sampler: string;
  readonly prediction_type: string;
  readonly steps: number;
  readonly strength: number;
  readonly from: number;
  /** Whether the masked part of the original was restored after each step except the last. */
  readonly put_back: boolean;
  readonly eta?: number;
}

const { base_config: base } = goldenJson("schedulers", "schedules.json");
const { cases, mask }: { cases: Case[]; mask: number[] } = goldenJson("schedulers", "from-middle.json");
const golden = await goldenTensors("schedulers", "from-middle.safetensors");
const [original, unit] = [(await golden.floats("original")).data, (await golden.floats("noise")).data];
const size = original.length;

const denoiser = ({ sample, timestep: t }: Query): Latents =>
  sample.map((v) => v * Math.fround(Math.fround(t) / Math.fround(t + 1)));
const noNoise: NormalSource = { randn: () => expect.fail("noise was drawn") };

/** Runs to the end. */
function run(sampler: Sampler, start: Latents, options: SampleOptions, answer: (query: Query) => Latents = denoiser): Latents {
  const sampling = sampler.sample(start, options);
  let next = sampling.next();
  while (!next.done) next = sampling.next(answer(next.value));
  return next.value;
}

test("there are recorded runs from the middle for every sampler", () => {
  expect(new Set(cases.map((c) => c.sampler))).toEqual(new Set(SAMPLER_NAMES));
});

test.each(cases)("a run from the middle equals that of diffusers: $key", async ({ key, put_back, ...c }) => {
  const sampler = createSampler(c.sampler, { ...base, prediction_type: c.prediction_type }, c.steps);
  const from = startFor(c.strength, c.steps, sampler.starts);
  expect(from).toBe(c.from);
  const begin = sampler.addNoise(original, unit, from);
  expect(begin).toMatchGolden((await golden.floats(`${key}.begin`)).data, 1e-5, { relative: true });

  const after = (await golden.floats(`${key}.after`)).data;
  const drawn = golden.has(`${key}.drawn`) ? (await golden.floats(`${key}.drawn`)).data : new Float32Array();
  let draws = 0;
  const noise: NormalSource = {
    randn(count) {
      expect(count).toBe(size);
      return drawn.slice(draws * size, ++draws * size);
    },
  };
  const putBack = ({ latents, index }: Query): Latents => {
    const known = sampler.addNoise(original, unit, index);
    return latents.map((v, i) => {
      const may = mask[i % mask.length]!;
      return (1 - may) * known[i]! + may * v;
    });
  };
  const sampling = sampler.sample(begin, { noise, eta: c.eta, from });
  let next = sampling.next();
  let index = from;
  while (!next.done) {
    const query = put_back && index > from ? askAbout(sampling, putBack(next.value)) : next.value;
    expect(query.index).toBe(index);
    expect(query.timestep).toBe(sampler.timesteps[index]);
    if (index > from)
      expect(query.latents).toMatchGolden(after.slice((index - from - 1) * size, (index - from) * size), 1e-4, {
        relative: true,
      });
    next = sampling.next(denoiser(query));
    index++;
  }
  expect(index).toBe(sampler.timesteps.length);
  expect(draws * size).toBe(drawn.length);
  expect(next.value).toMatchGolden(after.slice(-size), 1e-4, { relative: true });
});

describe("a denoiser that predicts the added noise exactly restores the picture, wherever a run begins", () => {
  const deterministic = ["euler", "heun", "ddim", "pndm", "dpmpp_2m", "dpmpp_2m_karras", "unipc", "tcd"];
  const configs = [{}, { skip_prk_steps: false }, { solver_order: 3 }, { timestep_spacing: "trailing" }];
  test.each(deterministic.flatMap((name) => configs.map((config) => [name, config] as const)))("%s %j", (name, config) => {
    const sampler = createSampler(name, { ...base, set_alpha_to_one: true, ...config }, 10);
    const { beta_start: left } = base; // of the noise's variance at timestep 0, where tcd ends
    const expected = name === "tcd" ? combine([Math.sqrt(1 - left), original], [Math.sqrt(left), unit]) : original;
    for (const from of sampler.starts) {
      const end = run(sampler, sampler.addNoise(original, unit, from), { noise: noNoise, eta: 0, from }, () => unit);
      expect(end).toMatchGolden(expected, 1e-5);
    }
  });
});

describe("a single-step sampler continues from the middle exactly like the whole run", () => {
  const one = { solver_order: 1, disable_corrector: [...Array(10).keys()] };
  test.each([
    ["euler", {}],
    ["euler_a", {}],
    ["heun", {}],
    ["ddim", {}],
    ["ddpm", {}],
    ["dpmpp_2m", one],
    ["dpmpp_2m_sde", one],
    ["unipc", one],
    ["lcm", {}],
    ["tcd", {}],
  ])("%s", (name, config) => {
    const sampler = createSampler(name, { ...base, ...config }, 10);
    expect(sampler.starts).toHaveLength(10);
    const eta = 0.5;
    const seeded = (): TorchCpuGenerator => new TorchCpuGenerator(3);
    const start = combine([sampler.initNoiseSigma, unit]);
    let drawn = 0;
    const source = seeded();
    const counting: NormalSource = {
      randn(count) {
        drawn++;
        return source.randn(count);
      },
    };
    const at: { from: number; latents: Latents; drawn: number }[] = [];
    const whole = run(sampler, start, { noise: counting, eta }, (query) => {
      if (sampler.starts.includes(query.index)) at.push({ from: query.index, latents: query.latents, drawn });
      return denoiser(query);
    });
    for (const { from, latents, drawn: before } of at) {
      const noise = seeded();
      for (let i = 0; i < before; i++) noise.randn(size);
      expect(run(sampler, latents, { noise, eta, from })).toEqual(whole);
    }
  });
});

describe.each(SAMPLER_NAMES)("%s accepts replaced latents", (name) => {
  const sampler = createSampler(name, base, 10);
  const start = combine([sampler.initNoiseSigma, unit]);

  test("the query is repeated for them", () => {
    const sampling = sampler.sample(start, { noise: new TorchCpuGenerator(1) });
    const first = sampling.next().value as Query;
    const other = start.map((v) => 2 * v);
    const second = askAbout(sampling, other);
    expect(second).toMatchObject({ index: first.index, timestep: first.timestep, latents: other });
    expect(second.sample).toEqual(first.sample.map((v) => 2 * v));
    expect(first.latents).toEqual(start);
    expect(second.original(unit)).not.toEqual(first.original(unit));
  });

  test("a run whose first latents are replaced equals one that begins with them", () => {
    const other = start.map((v, i) => v * (i % 3));
    const theirs = run(sampler, other, { noise: new TorchCpuGenerator(1) });
    const sampling = sampler.sample(start, { noise: new TorchCpuGenerator(1) });
    sampling.next();
    let next = sampling.next(denoiser(askAbout(sampling, other)));
    while (!next.done) next = sampling.next(denoiser(next.value));
    expect(next.value).toEqual(theirs);
    expect(() => askAbout(sampling, other)).toThrow(TypeError);
  });

  test("replacing latents by themselves changes nothing", () => {
    const plain = run(sampler, start, { noise: new TorchCpuGenerator(1) });
    const sampling = sampler.sample(start, { noise: new TorchCpuGenerator(1) });
    let next = sampling.next();
    while (!next.done) next = sampling.next(denoiser(askAbout(sampling, next.value.latents.slice())));
    expect(next.value).toEqual(plain);
  });

  test("latents of another size are refused", () => {
    const sampling = sampler.sample(start, { noise: new TorchCpuGenerator(1) });
    sampling.next();
    expect(() => askAbout(sampling, start.slice(1))).toThrow(TypeError);
  });
});

test.each([
  ["the second evaluation of a step", "heun", {}, 3],
  ["the correction of the first step", "pndm", {}, 1],
  ["the middle of a Runge-Kutta step", "pndm", { skip_prk_steps: false }, 6],
  ["the end", "euler", {}, 10],
  ["before the beginning", "ddim", {}, -1],
  ["between two steps", "lcm", {}, 1.5],
])("no run begins at %s", (_, name, config, from) => {
  const sampler = createSampler(name, { ...base, ...config }, 10);
  const sampling = sampler.sample(unit, { noise: noNoise, from });
  expect(() => sampling.next()).toThrow(expect.objectContaining({ code: "sampler/from" }));
});

test.each(SAMPLER_NAMES)("%s refuses to add noise for an index outside its timesteps", (name) => {
  const sampler = createSampler(name, base, 10);
  expect(() => sampler.addNoise(original, unit, sampler.timesteps.length)).toThrow(RangeError);
  expect(() => sampler.addNoise(original, unit, -1)).toThrow(RangeError);
});

test.each([
  [0.3, 10, 7],
  [0.6, 10, 4],
  [0.99, 10, 1],
  [1, 10, 0],
  [0.1, 10, 9],
  [0.58, 50, 22],
])("a strength of %d takes the last of %d steps, from %d on", (strength, steps, from) => {
  expect(startFor(strength, steps, createSampler("euler", base, steps).starts)).toBe(from);
});

test.each([
  ["none", 0],
  ["more than all", 1.1],
  ["no number", Number.NaN],
  ["less than one step", 0.09],
])("a strength of %s is refused", (_, strength) => {
  const { starts } = createSampler("euler", base, 10);
  expect(() => startFor(strength, 10, starts)).toThrow(expect.objectContaining({ code: "strength/invalid" }));
});
