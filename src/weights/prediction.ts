import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import type { JsonObject } from "./parse-json.ts";
import { PREDICTIONS, type PredictionName } from "./prediction-names.ts";
import { readFloats } from "./read-tensor.ts";
import { MARKS } from "./sdxl-single-file.ts";
import { elementCount, type Tensors } from "./tensor-entry.ts";

/** What a model's UNet predicts, and where that was read. */
export interface ModelPrediction {
  /** `sample` is that of the noise-free latents. */
  readonly name: PredictionName | "sample";
  readonly zeroTerminalSnr: boolean;
  /** Such as "the tensor v_pred" */
  readonly from: string;
}

/** Scale of latents that a model's weights declare: `latents · deviations / scalingFactor + means` is what the VAE decodes. */
export interface LatentScale {
  /** One for each channel */
  readonly means: readonly number[];
  readonly deviations: readonly number[];
  readonly scalingFactor: number;
}

/** What a user says of a model. */
export interface GivenPrediction {
  readonly prediction?: PredictionName | undefined;
  readonly zeroTerminalSnr?: boolean | undefined;
}

/** What a model's files say of its prediction. */
export interface PredictionSource {
  readonly path: string;
  /** All tensors of a single file; those of a folder have no marks. */
  readonly tensors: Tensors;
  readonly metadata: Readonly<Record<string, string>>;
  /** Content of scheduler_config.json */
  readonly scheduler: JsonObject | undefined;
}

export interface FoundPrediction {
  readonly prediction: ModelPrediction;
  /** Content of scheduler_config.json, adjusted; undefined where nothing gives it */
  readonly scheduler?: JsonObject;
  readonly latents?: LatentScale;
  readonly notices: readonly Notice[];
}

/**
 * The scheduler and the scaled latents that Playground 2.5 is published with.
 * @see huggingface.co/playgroundai/playground-v2.5-1024px-aesthetic scheduler/scheduler_config.json, vae/config.json; Karras et al. 2022
 */
export const PLAYGROUND_SCHEDULER: JsonObject = {
  _class_name: "EDMDPMSolverMultistepScheduler",
  algorithm_type: "dpmsolver++",
  final_sigmas_type: "zero",
  num_train_timesteps: 1000,
  prediction_type: "epsilon",
  rho: 7,
  sigma_data: 0.5,
  sigma_max: 80,
  sigma_min: 0.002,
  sigma_schedule: "karras",
  solver_order: 2,
  solver_type: "midpoint",
};
const PLAYGROUND_LATENTS: LatentScale = {
  means: [-1.6574, 1.886, -1.383, 2.5155],
  deviations: [8.4927, 5.9022, 6.5498, 5.2299],
  scalingFactor: 0.5,
};

/** The scheduler of CosXL, as Stability AI's model card and diffusers' documentation give it. */
export const COSXL_SCHEDULER: JsonObject = {
  _class_name: "EDMEulerScheduler",
  num_train_timesteps: 1000,
  prediction_type: "v_prediction",
  sigma_data: 1,
  sigma_max: 120,
  sigma_min: 0.002,
  sigma_schedule: "exponential",
};

/** What a folder's prediction is read from. */
const CONFIG = "scheduler/scheduler_config.json";

/** Spellings of predictions in metadata: Stability-AI/ModelSpec, and what trainers write. */
const SPELLINGS: Readonly<Record<string, ModelPrediction["name"]>> = {
  epsilon: "epsilon",
  eps: "epsilon",
  noise: "epsilon",
  v: "v",
  vpred: "v",
  v_pred: "v",
  v_prediction: "v",
  velocity: "v",
  x0: "sample",
  sample: "sample",
  edm_v: "edm-v",
  edm_vpred: "edm-v",
  v_prediction_edm: "edm-v",
  edm: "edm",
};

/**
 * Finds what a model predicts. A user's word outweighs the file's; in a file, tensors by which trainers mark it outweigh metadata, and these a
 * config that was taken from elsewhere.
 * @see ComfyUI's marks of SDXL; diffusers 0.35.2 loaders/single_file_utils.py, which knows edm_mean and edm_std; Stability-AI/ModelSpec
 * @throws UserError model/prediction
 */
export async function findPrediction(source: PredictionSource, given: GivenPrediction = {}): Promise<FoundPrediction> {
  const { path, tensors, scheduler } = source;
  const said = declared(source, given.prediction === undefined);
  const prediction = chosen(said, given);
  if (prediction.zeroTerminalSnr && prediction.name !== "v" && prediction.name !== "sample")
    throw new UserError(
      "model/prediction",
      `${path} predicts "${prediction.name}" (${prediction.from}), and zero terminal SNR goes with "v" alone.`,
      "Leave out --zero-terminal-snr, or give --prediction v (prediction in code).",
    );
  const notices = [...noticesOf(said, prediction, given), ...unusedMarks(tensors, prediction)];
  const { name } = prediction;
  if (prediction.from === CONFIG && given.zeroTerminalSnr === undefined) return { prediction, scheduler: scheduler!, notices };
  if (name === "edm" || name === "edm-v") {
    const own = ofEdm(scheduler, name) ? scheduler : undefined;
    const usual = name === "edm" ? PLAYGROUND_SCHEDULER : COSXL_SCHEDULER;
    const range = name === "edm-v" ? await rangeOf(path, tensors) : {};
    const latents = name === "edm" ? await latentsOf(path, tensors, given) : undefined;
    return { prediction, scheduler: { ...(own ?? usual), ...range }, ...(latents && { latents }), notices };
  }
  const type = name === "v" ? "v_prediction" : name;
  const discrete = scheduler !== undefined && edmName(scheduler) === undefined ? scheduler : undefined;
  const changes = { ...ofType(discrete, type), ...ofZeroSnr(discrete, prediction.zeroTerminalSnr) };
  if (Object.keys(changes).length === 0) return { prediction, ...(discrete && { scheduler: discrete }), notices };
  return { prediction, scheduler: { ...discrete, ...changes }, notices };
}

const ofType = (scheduler: JsonObject | undefined, type: string): JsonObject =>
  (scheduler?.prediction_type ?? "epsilon") === type ? {} : { prediction_type: type };

/** With zero terminal SNR the last timestep counts; where there is no config, what completes it sees to that. */
function ofZeroSnr(scheduler: JsonObject | undefined, wanted: boolean): JsonObject {
  if ((scheduler?.rescale_betas_zero_snr === true) === wanted) return {};
  if (!wanted) return { rescale_betas_zero_snr: false };
  return { rescale_betas_zero_snr: true, ...(scheduler && { timestep_spacing: "trailing" }) };
}

/** What the files say, or nothing. */
function declared({ path, tensors, metadata, scheduler }: PredictionSource, mustBeKnown: boolean): ModelPrediction | undefined {
  const by = (names: readonly string[]): string => {
    const there = names.filter((name) => tensors.has(name));
    return `the tensor${there.length === 1 ? "" : "s"} ${there.join(" and ")}`;
  };
  const zeroSnr = tensors.has(MARKS.zeroSnr) || isTrue(metadata.ss_zero_terminal_snr);
  const latents = [MARKS.edmMean, MARKS.edmDeviation];
  if (latents.some((name) => tensors.has(name))) return { name: "edm", zeroTerminalSnr: false, from: by(latents) };
  const range = [MARKS.edmMin, MARKS.edmMax];
  if (range.some((name) => tensors.has(name))) return { name: "edm-v", zeroTerminalSnr: false, from: by(range) };
  if (tensors.has(MARKS.vPrediction))
    return { name: "v", zeroTerminalSnr: zeroSnr, from: by([MARKS.vPrediction, MARKS.zeroSnr]) };
  for (const key of ["modelspec.prediction_type", "modelspec.predict_key"]) {
    const text = metadata[key]?.trim() ?? "";
    if (text === "") continue;
    const name = SPELLINGS[text.toLowerCase().replace(/[ -]+/g, "_")];
    // trainers write epsilon of themselves; a config that was put beside the file says more
    if (name === "epsilon" && scheduler !== undefined) continue;
    if (name !== undefined) return { name, zeroTerminalSnr: zeroSnr && name === "v", from: `${key} in its metadata` };
    if (mustBeKnown)
      throw new UserError(
        "model/prediction",
        `${path} says in its metadata that it predicts "${text}" (${key}), which is not supported.`,
        `Give an SDXL checkpoint that predicts noise (epsilon) or velocity (v), or say what it predicts: --prediction ${PREDICTIONS.join(", ")} (prediction in code).`,
      );
  }
  if (isTrue(metadata.ss_v_parameterization))
    return { name: "v", zeroTerminalSnr: zeroSnr, from: "ss_v_parameterization in its metadata" };
  if (scheduler === undefined) return undefined;
  const edm = edmName(scheduler);
  if (edm !== undefined) return { name: edm, zeroTerminalSnr: false, from: CONFIG };
  const name = scheduler.prediction_type === undefined ? "epsilon" : SPELLINGS[String(scheduler.prediction_type)];
  // what no sampler knows is refused by the sampler
  return { name: name ?? "epsilon", zeroTerminalSnr: scheduler.rescale_betas_zero_snr === true && name === "v", from: CONFIG };
}

const isTrue = (text: string | undefined): boolean => text?.trim().toLowerCase() === "true";

function chosen(said: ModelPrediction | undefined, given: GivenPrediction): ModelPrediction {
  const name = given.prediction ?? said?.name ?? "epsilon";
  const from = given.prediction !== undefined ? "--prediction" : (said?.from ?? "its files say nothing else");
  return { name, zeroTerminalSnr: given.zeroTerminalSnr ?? (name === said?.name && said.zeroTerminalSnr), from };
}

/** What an EDM scheduler's config predicts; undefined for a config of another kind. */
function edmName(scheduler: JsonObject): "edm" | "edm-v" | undefined {
  if (typeof scheduler._class_name !== "string" || !scheduler._class_name.startsWith("EDM")) return undefined;
  return scheduler.prediction_type === "v_prediction" ? "edm-v" : "edm";
}

const ofEdm = (scheduler: JsonObject | undefined, name: "edm" | "edm-v"): boolean =>
  scheduler !== undefined && edmName(scheduler) === name;

/** CosXL's smallest and largest noise. */
async function rangeOf(path: string, tensors: Tensors): Promise<JsonObject> {
  const read = async (name: string): Promise<number | undefined> => {
    const values = await valuesOf(path, tensors, name);
    if (values === undefined) return undefined;
    if (values.length === 1 && values[0]! > 0) return values[0];
    throw damaged(path, name, "is not one number above 0");
  };
  const [min, max] = [await read(MARKS.edmMin), await read(MARKS.edmMax)];
  if ((max ?? 120) <= (min ?? 0.002)) throw damaged(path, MARKS.edmMax, `is ${max}, which is not above the smallest noise`);
  return { ...(min !== undefined && { sigma_min: min }), ...(max !== undefined && { sigma_max: max }) };
}

/** Playground's latents: as the file has them, or as they are published. Undefined for a folder that says so in the VAE's config. */
async function latentsOf(path: string, tensors: Tensors, given: GivenPrediction): Promise<LatentScale | undefined> {
  const means = await valuesOf(path, tensors, MARKS.edmMean);
  const deviations = await valuesOf(path, tensors, MARKS.edmDeviation);
  if (means === undefined && deviations === undefined) return given.prediction === "edm" ? PLAYGROUND_LATENTS : undefined;
  const missing = means === undefined ? MARKS.edmMean : MARKS.edmDeviation;
  if (means === undefined || deviations === undefined)
    throw damaged(path, missing, "is missing, and a model like Playground 2.5 needs mean and deviation of its latents");
  if (means.length !== deviations.length || means.length === 0)
    throw damaged(path, MARKS.edmDeviation, `has ${deviations.length} numbers, and ${MARKS.edmMean} ${means.length}`);
  if (deviations.some((v) => v <= 0)) throw damaged(path, MARKS.edmDeviation, "has numbers that are not above 0");
  return { means, deviations, scalingFactor: PLAYGROUND_LATENTS.scalingFactor };
}

/** More than any model's latents have channels. */
const MOST_VALUES = 1024;

async function valuesOf(path: string, tensors: Tensors, name: string): Promise<number[] | undefined> {
  const entry = tensors.get(name);
  if (entry === undefined) return undefined;
  if (elementCount(entry.shape) > MOST_VALUES) throw damaged(path, name, `has the shape [${entry.shape.join(", ")}]`);
  const values = Array.from(await readFloats(entry), (v) => Number(v.toPrecision(7))); // float32 has no more digits
  if (values.every(Number.isFinite)) return values;
  throw damaged(path, name, "has values that are no numbers");
}

const damaged = (path: string, name: string, what: string): UserError =>
  new UserError(
    "model/prediction",
    `The tensor ${name} of ${path} ${what}.`,
    "Download the file again, or say what it predicts: --prediction edm or edm-v (prediction in code).",
  );

/** Names of predictions for messages. */
const WORDS: Readonly<Record<ModelPrediction["name"], string>> = {
  epsilon: "the noise (epsilon)",
  v: "velocity",
  sample: "the picture (sample)",
  edm: "in the form of EDM, as Playground 2.5 does",
  "edm-v": "velocity over continuous noise levels (EDM), as CosXL does",
};

/** A prediction in words, such as "velocity with zero terminal SNR". */
export const predictionInWords = ({ name, zeroTerminalSnr }: ModelPrediction): string =>
  `${WORDS[name]}${zeroTerminalSnr ? " with zero terminal SNR" : ""}`;

function noticesOf(said: ModelPrediction | undefined, prediction: ModelPrediction, given: GivenPrediction): Notice[] {
  const { prediction: wanted } = given;
  if (wanted !== undefined && said !== undefined && said.name !== wanted)
    return [
      {
        code: "model/prediction-given",
        message: `By ${said.from}, the model predicts ${predictionInWords(said)}; it is sampled as --prediction says: ${wanted}.`,
      },
    ];
  if (wanted !== undefined || said === undefined || said.from === CONFIG || said.name === "epsilon") return [];
  const message = `The file says that it predicts ${predictionInWords(prediction)}: by ${said.from}.`;
  return [said.name === "v" ? { code: "model/v-prediction", message } : { code: "model/prediction-found", message }];
}

/** Zero terminal SNR that a file says without the velocity that it goes with. */
function unusedMarks(tensors: Tensors, { name, from }: ModelPrediction): Notice[] {
  if (!tensors.has(MARKS.zeroSnr) || name !== "epsilon" || from === "--prediction") return [];
  const message = `The tensor ${MARKS.zeroSnr} says zero terminal SNR, and nothing says that the model predicts velocity: it is sampled as epsilon. If it does predict velocity, give --prediction v --zero-terminal-snr.`;
  return [{ code: "model/prediction-found", message }];
}
