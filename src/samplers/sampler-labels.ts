import { SAMPLER_NAMES, type SamplerName } from "./create-sampler.ts";
import { isEdm } from "./edm.ts";

/** What A1111's web UI, and after it most programs, call each sampler. */
const LABELS: Readonly<Record<SamplerName, string>> = {
  euler: "Euler",
  euler_a: "Euler a",
  heun: "Heun",
  ddim: "DDIM",
  ddpm: "DDPM",
  pndm: "PLMS",
  dpmpp_2m: "DPM++ 2M",
  dpmpp_2m_karras: "DPM++ 2M Karras",
  dpmpp_2m_sde: "DPM++ 2M SDE",
  dpmpp_2m_sde_karras: "DPM++ 2M SDE Karras",
  unipc: "UniPC",
  lcm: "LCM",
  tcd: "TCD",
};

const CLASSES: Readonly<Record<string, SamplerName>> = {
  EulerDiscreteScheduler: "euler",
  EulerAncestralDiscreteScheduler: "euler_a",
  HeunDiscreteScheduler: "heun",
  DDIMScheduler: "ddim",
  DDPMScheduler: "ddpm",
  PNDMScheduler: "pndm",
  DPMSolverMultistepScheduler: "dpmpp_2m",
  UniPCMultistepScheduler: "unipc",
  LCMScheduler: "lcm",
  TCDScheduler: "tcd",
  EDMEulerScheduler: "euler",
  EDMDPMSolverMultistepScheduler: "dpmpp_2m",
};

/**
 * What other programs call a sampler.
 * @param name undefined for the one that the model's config names
 * @param config the model's scheduler_config.json, if it has one
 */
export function samplerLabel(name: SamplerName | undefined, config: unknown): string {
  if (name !== undefined) return LABELS[name];
  const { _class_name, algorithm_type, use_karras_sigmas, sigma_schedule } = (config ?? {}) as Readonly<Record<string, unknown>>;
  const own = CLASSES[String(_class_name ?? "EulerDiscreteScheduler")];
  if (own === undefined) return String(_class_name);
  const sde = algorithm_type === "sde-dpmsolver++" && own === "dpmpp_2m" ? " SDE" : "";
  const karras = use_karras_sigmas === true || (isEdm(config) && own === "dpmpp_2m" && sigma_schedule !== "exponential");
  return `${LABELS[own]}${sde}${karras ? " Karras" : ""}`;
}

/** Names of k-diffusion, ComfyUI and InvokeAI that differ from ours and from A1111's. */
const OTHERS: Readonly<Record<string, SamplerName>> = {
  euler_ancestral: "euler_a",
  plms: "pndm",
  uni_pc: "unipc",
  dpmpp_2m_k: "dpmpp_2m_karras",
  dpmpp_2m_sde_gpu: "dpmpp_2m_sde",
  dpmpp_2m_sde_k: "dpmpp_2m_sde_karras",
};

const keyOf = (label: string): string => label.trim().toLowerCase().replace(/[ _]+/g, "_");

const BY_KEY: ReadonlyMap<string, SamplerName> = new Map([
  ...SAMPLER_NAMES.flatMap((name) => [[name, name] as const, [keyOf(LABELS[name]), name] as const]),
  ...Object.entries(OTHERS),
]);

/**
 * The sampler that another program calls so, or undefined where there is none of its kind here.
 * @param schedule how it spaces its noise levels, where that is said apart: Karras, or a usual one
 */
export function samplerOfLabel(label: string, schedule = "automatic"): SamplerName | undefined {
  const name = BY_KEY.get(keyOf(label));
  if (name === undefined || /^(automatic|normal|simple|uniform|sgm_uniform|)$/.test(keyOf(schedule))) return name;
  return keyOf(schedule) === "karras" ? BY_KEY.get(`${name.replace(/_karras$/, "")}_karras`) : undefined;
}
