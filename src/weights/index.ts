// What programs of Node import. A browser takes the files without ".node" in their names.
export type { Notice } from "../core/notice.ts";
export type { NoticeCode } from "../core/notice-codes.ts";
export type { AdapterFiles } from "./adapter.ts";
export { type ByteSource, memorySource } from "./byte-source.ts";
export { type Description, describe, type PartDescription } from "./describe.node.ts";
export { FileSource, withFile } from "./file-access.node.ts";
export { identify, KIND_NAMES, type Kind } from "./identify.ts";
export type { LoraComponent } from "./lora-key.ts";
export { type LoraLayer, type LoraPatch, type LoraTargets, type MatchedLora, matchLora } from "./lora-match.ts";
export type { LoraMethod, LoraPart, LoraWeight, PartShapes, Parts } from "./lora-methods/method.ts";
export type { ModelComponent, ModelFiles, ModelParts } from "./model.ts";
export { openAdapter } from "./open-adapter.node.ts";
export { type OpenModelOptions, openModel } from "./open-model.node.ts";
export { openStored, openTensors, readSafetensorsFile } from "./open-tensors.node.ts";
export type { JsonObject } from "./parse-json.ts";
export type { GivenPrediction, LatentScale, ModelPrediction } from "./prediction.ts";
export { PREDICTIONS, type PredictionName } from "./prediction-names.ts";
export { readJsonObject } from "./read-json.node.ts";
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
export { copyTensor, type TensorData, type TensorToWrite, writeSafetensors } from "./safetensors-write.node.ts";
export { COMPONENTS, type ComponentName } from "./sdxl-single-file.ts";
export {
  byteLength,
  type ComputedBytes,
  DTYPE_BYTES,
  elementCount,
  type FileRange,
  type InlineBytes,
  type StoredDType,
  sliceRows,
  type TensorEntry,
  type Tensors,
  withoutPrefix,
} from "./tensor-entry.ts";
export type { TensorFile } from "./tensor-file.ts";
