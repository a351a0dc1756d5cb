import { withFile } from "./file-access.node.ts";
import { readAllValues, type TensorValues } from "./read-tensor.ts";
import { readAsStored, readTensorFile } from "./read-tensor-file.ts";
import { parseSafetensors } from "./safetensors-read.ts";
import type { TensorFile } from "./tensor-file.ts";

/**
 * Opens a file of weights, safetensors, torch or GGUF, by what it contains: its name does not matter. Only headers are read.
 *
 * @returns its path is absolute
 * @throws UserError file/missing, file/is-folder, file/denied, and those of readTensorFile
 */
export const openTensors = (path: string): Promise<TensorFile> => withFile(path, readTensorFile);

/** As {@link openTensors}, a file that this program has written: each tensor as it is stored. */
export const openStored = (path: string): Promise<TensorFile> => withFile(path, readAsStored);

/** Every tensor of a small safetensors file, read: name to values. */
export const readSafetensorsFile = async (path: string): Promise<Map<string, TensorValues>> =>
  withFile(path, async (file) => readAllValues((await parseSafetensors(file)).tensors));
