/// <reference lib="esnext.disposable" preserve="true" />
export type { FloatArray, NdArray } from "./core/array.ts";
export { ERROR_CODES, type ErrorCode, meaningOf, OPTION_FAULTS, type OptionFault } from "./core/error-codes.ts";
export { UserError } from "./core/errors.ts";
export type { Notice } from "./core/notice.ts";
export { NOTICE_CODES, type NoticeCode } from "./core/notice-codes.ts";
export type { Work } from "./graph/work.ts";
export { encodePicture, type PictureEncoding } from "./image/encode-picture.ts";
export { PICTURE_FORMATS, type PictureFormat } from "./image/picture-format.ts";
export { readPictureSettings } from "./image/picture-settings.ts";
export { type PngSettings, readPngSettings as readSettings } from "./image/png-settings.ts";
export * from "./pipeline/index.ts";
export type { Device } from "./runtime/device.ts";
export type { Precision } from "./sessions/precision.ts";
export type { ByteSource } from "./weights/byte-source.ts";
export { type Description, describe, type PartDescription } from "./weights/describe.node.ts";
export {
  type DownloadOptions,
  type DownloadProgress,
  downloadModel,
  type Environment,
  type HubOptions,
  type Retry,
  type RetryPolicy,
} from "./weights/hub/index.ts";
export type { Kind } from "./weights/identify.ts";
export type { ModelPrediction } from "./weights/prediction.ts";
export type { PredictionName } from "./weights/prediction-names.ts";
export type { ComponentName } from "./weights/sdxl-single-file.ts";
export type { ComputedBytes, FileRange, InlineBytes, StoredDType, TensorEntry, Tensors } from "./weights/tensor-entry.ts";
export type { TensorFile } from "./weights/tensor-file.ts";
