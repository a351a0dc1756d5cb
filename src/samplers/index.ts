export { CudaPhiloxGenerator } from "../core/random/cuda-philox-generator.ts";
export type { NormalSource } from "../core/random/normal-source.ts";
export { TorchCpuGenerator } from "../core/random/torch-cpu-generator.ts";
export { askAbout } from "./ask.ts";
export { type SchedulerConfig, type SchedulerFields, schedulerConfig, TIMESTEP_SPACINGS } from "./config.ts";
export { createSampler, SAMPLER_NAMES, type SamplerName, SDXL_SCHEDULER } from "./create-sampler.ts";
export type { Answer, Latents, Query, SampleOptions, Sampler, Sampling } from "./sampler.ts";
export { startFor } from "./starts.ts";
