export type {
  DoneEvent,
  GenerateEvent,
  ImageEvent,
  NoticeEvent,
  Phase,
  PreviewEvent,
  ProgressEvent,
  Timings,
} from "../contract/events.ts";
export type { GenerateInput, LoadInput } from "../contract/request.ts";
export { writeLatents } from "./denoise/read-latents.ts";
export type { GenerateResult } from "./generate.ts";
export type { Generation } from "./generation.ts";
export type { LoadingOptions } from "./load/local-models.ts";
export { PhotoMaker } from "./photomaker.ts";
