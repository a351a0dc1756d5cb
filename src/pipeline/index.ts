export type { Control } from "../contract/control.ts";
export type {
  DoneEvent,
  GenerateEvent,
  GenerateResult,
  ImageEvent,
  NoticeEvent,
  Numbered,
  NumberedEvent,
  OfRequest,
  Phase,
  PreviewEvent,
  ProgressEvent,
  RunLatents,
  Timings,
} from "../contract/events.ts";
export type { JsonNumbers } from "../contract/numbers.ts";
export type { Person } from "../contract/person.ts";
export { type GenerateInput, GenerateRequest, type LoadInput, LoadOptions } from "../contract/request.ts";
export { type FromSettings, type Missing, requestFromSettings } from "../contract/request-from-settings.ts";
export { type Json, requestJson } from "../contract/request-json.ts";
export type { Seed } from "../contract/seed.ts";
export { toWire, toWireError, type WireError, WireEvent, type WireNames } from "../contract/wire.ts";
export { writeLatents } from "./denoise/read-latents.ts";
export type { Generation, StartGeneration } from "./generation.ts";
export type { LoadingOptions } from "./load/local-models.ts";
export type { PreparingOptions } from "./load/prepare-models.ts";
export { type CancelOptions, type ChangingOptions, PhotoMaker, type RunsOn } from "./photomaker.ts";
