import { describe, expect, test } from "vitest";
import { type Made, single } from "../testing/number-formats.ts";
import type { JsonObject } from "./parse-json.ts";
import { COSXL_SCHEDULER, findPrediction, type GivenPrediction, PLAYGROUND_SCHEDULER, predictionInWords } from "./prediction.ts";
import type { TensorEntry } from "./tensor-entry.ts";

const empty: Made = { dtype: "F16", shape: [0], data: new Uint8Array() };
const find = (
  {
    marks = {},
    metadata = {},
    scheduler,
  }: { marks?: Record<string, Made>; metadata?: Record<string, string>; scheduler?: JsonObject },
  given: GivenPrediction = {},
) =>
  findPrediction(
    {
      path: "x.safetensors",
      tensors: new Map<string, TensorEntry>(
        Object.entries(marks).map(([name, { data, ...rest }]) => [
          name,
          { name, ...rest, source: { kind: "bytes", bytes: data } },
        ]),
      ),
      metadata,
      scheduler,
    },
    given,
  );

const V = { v_pred: empty };
const ZERO = { ztsnr: empty };
const PLAYGROUND = { edm_mean: single([1, 2, 3, 4], [4]), edm_std: single([5, 6, 7, 8], [1, 4, 1, 1]) };
const SDXL: JsonObject = { _class_name: "EulerDiscreteScheduler", prediction_type: "epsilon", timestep_spacing: "leading" };
const VELOCITY = { prediction_type: "v_prediction" };
const TRAILING = { ...VELOCITY, rescale_betas_zero_snr: true, timestep_spacing: "trailing" };

describe("what a single file says, as ComfyUI and the trainers have it", () => {
  test.each<[string, Parameters<typeof find>[0], string, JsonObject | undefined]>([
    ["nothing", {}, "epsilon: its files say nothing else", undefined],
    ["v_pred", { marks: V }, "v: the tensor v_pred", VELOCITY],
    // the timesteps follow where SDXL's config is filled in
    [
      "v_pred, ztsnr",
      { marks: { ...V, ...ZERO } },
      "v+zero: the tensors v_pred and ztsnr",
      { ...VELOCITY, rescale_betas_zero_snr: true },
    ],
    ["v_pred beside SDXL's configs", { marks: V, scheduler: SDXL }, "v: the tensor v_pred", { ...SDXL, ...VELOCITY }],
    [
      "v_pred, ztsnr beside SDXL's configs",
      { marks: { ...V, ...ZERO }, scheduler: SDXL },
      "v+zero: the tensors v_pred and ztsnr",
      { ...SDXL, ...TRAILING },
    ],
    [
      "a mark against metadata",
      { marks: V, metadata: { "modelspec.prediction_type": "epsilon" } },
      "v: the tensor v_pred",
      VELOCITY,
    ],
    [
      "metadata",
      { metadata: { "modelspec.prediction_type": "V-Prediction" } },
      "v: modelspec.prediction_type in its metadata",
      VELOCITY,
    ],
    [
      "metadata, with ztsnr",
      { marks: ZERO, metadata: { "modelspec.predict_key": "v" } },
      "v+zero: modelspec.predict_key in its metadata",
      { ...VELOCITY, rescale_betas_zero_snr: true },
    ],
    [
      "a trainer's metadata",
      { metadata: { ss_v_parameterization: "True", ss_zero_terminal_snr: "True" } },
      "v+zero: ss_v_parameterization in its metadata",
      { ...VELOCITY, rescale_betas_zero_snr: true },
    ],
    [
      "the picture itself",
      { metadata: { "modelspec.predict_key": "x0" } },
      "sample: modelspec.predict_key in its metadata",
      { prediction_type: "sample" },
    ],
    [
      "epsilon in metadata",
      { metadata: { "modelspec.predict_key": "epsilon" } },
      "epsilon: modelspec.predict_key in its metadata",
      undefined,
    ],
    // trainers write epsilon of themselves
    [
      "epsilon in metadata, velocity in the configs",
      { metadata: { "modelspec.predict_key": "epsilon" }, scheduler: { ...SDXL, ...VELOCITY } },
      "v: scheduler/scheduler_config.json",
      { ...SDXL, ...VELOCITY },
    ],
    [
      "CosXL",
      { marks: { "edm_vpred.sigma_max": single([90]), "edm_vpred.sigma_min": single([0.01], [1]) }, scheduler: SDXL },
      "edm-v: the tensors edm_vpred.sigma_min and edm_vpred.sigma_max",
      { ...COSXL_SCHEDULER, sigma_max: 90, sigma_min: 0.01 },
    ],
    [
      "CosXL, by its largest noise alone",
      { marks: { "edm_vpred.sigma_max": single([120]) } },
      "edm-v: the tensor edm_vpred.sigma_max",
      { ...COSXL_SCHEDULER, sigma_max: 120 },
    ],
    [
      "CosXL, by metadata",
      { metadata: { "modelspec.prediction_type": "edm_v" } },
      "edm-v: modelspec.prediction_type in its metadata",
      COSXL_SCHEDULER,
    ],
    ["Playground 2.5", { marks: PLAYGROUND }, "edm: the tensors edm_mean and edm_std", PLAYGROUND_SCHEDULER],
    [
      "Playground 2.5 with a sampler in its configs",
      { marks: PLAYGROUND, scheduler: { _class_name: "EDMEulerScheduler", sigma_max: 70 } },
      "edm: the tensors edm_mean and edm_std",
      { _class_name: "EDMEulerScheduler", sigma_max: 70 },
    ],
  ])("%s", async (_, source, what, scheduler) => {
    const found = await find(source);
    const { name, zeroTerminalSnr, from } = found.prediction;
    expect(`${name}${zeroTerminalSnr ? "+zero" : ""}: ${from}`).toBe(what);
    expect(found.scheduler).toEqual(scheduler);
  });

  test("the latents of Playground 2.5 have the mean and deviation of the file", async () => {
    const { latents } = await find({ marks: PLAYGROUND });
    expect(latents).toEqual({ means: [1, 2, 3, 4], deviations: [5, 6, 7, 8], scalingFactor: 0.5 });
    expect((await find({ marks: V })).latents).toBeUndefined();
  });

  test("notices say what was found, and by what", async () => {
    const message = async (...given: Parameters<typeof find>) => (await find(...given)).notices.map((each) => each.message);
    expect(await message({ marks: { ...V, ...ZERO } })).toEqual([
      "The file says that it predicts velocity with zero terminal SNR: by the tensors v_pred and ztsnr.",
    ]);
    expect((await message({ marks: { "edm_vpred.sigma_max": single([120]) } }))[0]).toMatch(
      /as CosXL does: by the tensor edm_vpred/,
    );
    expect((await message({ marks: ZERO }))[0]).toMatch(/give --prediction v --zero-terminal-snr/);
    expect(await message({})).toEqual([]);
    expect(await message({ scheduler: { ...SDXL, ...VELOCITY } })).toEqual([]);
    expect(await message({ marks: V }, { prediction: "epsilon" })).toEqual([
      "By the tensor v_pred, the model predicts velocity; it is sampled as --prediction says: epsilon.",
    ]);
    expect(await message({ marks: V }, { prediction: "v" })).toEqual([]);
  });
});

describe("what a user says outweighs the files", () => {
  test.each<[GivenPrediction, Parameters<typeof find>[0], JsonObject | undefined]>([
    [{ prediction: "v" }, {}, VELOCITY],
    [{ prediction: "v" }, { scheduler: SDXL }, { ...SDXL, ...VELOCITY }],
    [{ prediction: "v", zeroTerminalSnr: true }, { scheduler: SDXL }, { ...SDXL, ...TRAILING }],
    [{ prediction: "v" }, { marks: { ...V, ...ZERO } }, { ...VELOCITY, rescale_betas_zero_snr: true }],
    [{ zeroTerminalSnr: true }, { marks: V, scheduler: SDXL }, { ...SDXL, ...TRAILING }],
    [
      { zeroTerminalSnr: false },
      { scheduler: { ...SDXL, ...TRAILING } },
      { ...SDXL, ...TRAILING, rescale_betas_zero_snr: false },
    ],
    [{ prediction: "epsilon" }, { marks: V, scheduler: SDXL }, SDXL],
    [{ prediction: "epsilon" }, { scheduler: { ...SDXL, ...VELOCITY } }, SDXL],
    [{ prediction: "epsilon" }, { scheduler: PLAYGROUND_SCHEDULER }, undefined],
    [{ prediction: "edm-v" }, { scheduler: SDXL }, COSXL_SCHEDULER],
    [{ prediction: "edm" }, { metadata: { "modelspec.prediction_type": "flow" } }, PLAYGROUND_SCHEDULER],
    [
      { prediction: "edm" },
      { scheduler: { _class_name: "EDMEulerScheduler", rho: 5 } },
      { _class_name: "EDMEulerScheduler", rho: 5 },
    ],
  ])("%j", async (given, source, scheduler) => {
    expect((await find(source, given)).scheduler).toEqual(scheduler);
  });

  test("latents are those of Playground 2.5 if it is named, and of no other", async () => {
    expect((await find({}, { prediction: "edm" })).latents?.deviations).toEqual([8.4927, 5.9022, 6.5498, 5.2299]);
    expect((await find({ marks: PLAYGROUND }, { prediction: "v" })).latents).toBeUndefined();
  });
});

test("a folder's config is taken as it is, even where only the sampler knows what it means", async () => {
  for (const scheduler of [SDXL, { ...SDXL, ...VELOCITY }, { ...SDXL, prediction_type: "flow" }, PLAYGROUND_SCHEDULER])
    expect((await find({ scheduler })).scheduler).toBe(scheduler);
  expect((await find({ scheduler: { ...SDXL, ...TRAILING } })).prediction).toMatchObject({ name: "v", zeroTerminalSnr: true });
});

test("notices have codes", async () => {
  const codes = async (...given: Parameters<typeof find>) => (await find(...given)).notices.map(({ code }) => code);
  expect(await codes({ marks: V })).toEqual(["model/v-prediction"]);
  expect(await codes({ marks: PLAYGROUND })).toEqual(["model/prediction-found"]);
  expect(await codes({ marks: V }, { prediction: "edm" })).toEqual(["model/prediction-given"]);
});

test("a prediction in words", () => {
  expect(predictionInWords({ name: "edm-v", zeroTerminalSnr: false, from: "" })).toContain("CosXL");
});

test.each<[string, Parameters<typeof find>[0], GivenPrediction, RegExp]>([
  ["a prediction that nobody knows", { metadata: { "modelspec.prediction_type": "flow" } }, {}, /"flow"/],
  ["zero terminal SNR of noise", {}, { zeroTerminalSnr: true }, /zero terminal SNR/],
  ["zero terminal SNR of EDM", { marks: PLAYGROUND }, { zeroTerminalSnr: true }, /"edm"/],
  ["a mean without deviation", { marks: { edm_mean: PLAYGROUND.edm_mean } }, {}, /edm_std/],
  ["a deviation without mean", { marks: { edm_std: PLAYGROUND.edm_std } }, {}, /edm_mean/],
  ["other numbers of both", { marks: { ...PLAYGROUND, edm_mean: single([1], [1]) } }, {}, /4 numbers/],
  ["a deviation of 0", { marks: { ...PLAYGROUND, edm_std: single([1, 2, 0, 4], [4]) } }, {}, /above 0/],
  ["a mean that is no number", { marks: { ...PLAYGROUND, edm_mean: single([1, Number.NaN, 0, 4], [4]) } }, {}, /no numbers/],
  ["a huge mean", { marks: { ...PLAYGROUND, edm_mean: single(Array(4096).fill(1), [64, 64]) } }, {}, /\[64, 64\]/],
  ["a largest noise of 0", { marks: { "edm_vpred.sigma_max": single([0]) } }, {}, /not one number above 0/],
  ["no largest noise", { marks: { "edm_vpred.sigma_max": empty } }, {}, /not one number above 0/],
  ["a largest noise below the smallest", { marks: { "edm_vpred.sigma_max": single([0.001]) } }, {}, /smallest/],
])("%s is refused", async (_, source, given, message) => {
  await expect(find(source, given)).rejects.toMatchObject({ code: "model/prediction", message: expect.stringMatching(message) });
});
