export { type AdapterFiles, openAdapter } from "./adapter.ts";
export { type Description, describe, type PartDescription } from "./describe.ts";
export { withFile } from "./file-access.ts";
export { identify, KIND_NAMES, type Kind } from "./identify.ts";
export type { LoraComponent } from "./lora-key.ts";
export { type LoraLayer, type LoraTargets, type MatchedLora, matchLora } from "./lora-match.ts";
export { type ModelComponent, type ModelFiles, type OpenModelOptions, openModel } from "./model.ts";
export { openTensors } from "./open-tensors.ts";
export { type JsonObject, readJsonObject } from "./read-json.ts";
export {
  readAllValues,
  readBytes,
  readFloats,
  readManyFloats,
  readRowMajor,
  readValues,
  type TensorValues,
  type Values,
} from "./read-tensor.ts";
export { readSafetensorsFile } from "./safetensors-read.ts";
export { copied, type TensorData, type TensorToWrite, writeSafetensors } from "./safetensors-write.ts";
export { COMPONENTS, type ComponentName } from "./sdxl-single-file.ts";
export {
  byteLength,
  DTYPE_BYTES,
  type DType,
  elementCount,
  type FileRange,
  type InlineBytes,
  sliceRows,
  type TensorEntry,
  type Tensors,
  withoutPrefix,
} from "./tensor-entry.ts";
export type { TensorFile } from "./tensor-file.ts";
