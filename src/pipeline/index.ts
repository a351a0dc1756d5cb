export type {
  DoneEvent,
  GenerateEvent,
  ImageEvent,
  NoticeEvent,
  Phase,
  PreviewEvent,
  ProgressEvent,
  Timings,
} from "./events.ts";
export type { GenerateResult } from "./generate.ts";
export type { Generation } from "./generation.ts";
export type { LoadingOptions } from "./local-models.ts";
export { PhotoMaker } from "./photomaker.ts";
export { writeLatents } from "./read-latents.ts";
export type { GenerateInput, LoadInput } from "./request.ts";
