import { UserError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { GGUF_MAGIC, readGguf } from "./gguf.ts";
import { NPY_MAGIC, readNpy } from "./npy.ts";
import { parseSafetensors } from "./safetensors-read.ts";
import { withScales } from "./scaled.ts";
import type { TensorFile } from "./tensor-file.ts";
import { LEGACY_MAGIC, readTorchLegacy, readTorchZip } from "./torch-file.ts";

/**
 * Reads the header of weights, safetensors, torch or GGUF, by what they contain: a name does not matter.
 *
 * @throws UserError weights/empty, weights/lfs-pointer, weights/web-page, weights/unknown-format; those of withScales, and those of
 *   safetensors, zip, pickle, torch, npy and gguf
 */
export async function readTensorFile(file: ByteSource): Promise<TensorFile> {
  const read = await readAsStored(file);
  return { ...read, tensors: await withScales(read.tensors, read.path) };
}

/** As {@link readTensorFile}, for files of this program: integers are no sign of another program's quantisation there. */
export async function readAsStored(file: ByteSource): Promise<TensorFile> {
  const { id: path, size } = file;
  if (size === 0) throw new UserError("weights/empty", `${path} is empty.`, "Download or copy it again.");
  const head = await file.read(0, Math.min(size, 64));
  if (startsWith(head, [0x50, 0x4b, 3, 4])) return readTorchZip(file);
  if (startsWith(head, LEGACY_MAGIC)) return readTorchLegacy(file);
  if (startsWith(head, NPY_MAGIC)) return readNpy(file);
  if (startsWith(head, GGUF_MAGIC)) return readGguf(file);
  const text = new TextDecoder("latin1").decode(head);
  if (text.startsWith("version https://git-lfs"))
    throw new UserError(
      "weights/lfs-pointer",
      `${path} is only a git-lfs pointer, not the weights.`,
      "Run `git lfs pull`, or download the file itself.",
    );
  if (/^\s*<(!doctype|html)/i.test(text))
    throw new UserError("weights/web-page", `${path} is a web page.`, "Download the file itself, not the page about it.");
  if (head[8] === 0x7b) return parseSafetensors(file);
  const seems = SIGNATURES.find(([bytes]) => startsWith(head, bytes))?.[1];
  if (seems === undefined && path.endsWith(".safetensors")) return parseSafetensors(file); // gives the most helpful error
  if (path.endsWith(".gguf"))
    throw new UserError(
      "gguf/magic",
      `${path} does not begin as a GGUF file does${seems ? `: it seems to be ${seems}` : ""}.`,
      "Download or copy it again.",
    );
  throw new UserError(
    "weights/unknown-format",
    `${path} is neither safetensors, GGUF nor a torch file${seems ? `: it seems to be ${seems}` : ""}.`,
    "Give a .safetensors or .gguf file, or a .bin, .pt or .ckpt written by torch.save.",
  );
}

const ascii = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));

const SIGNATURES: readonly (readonly [readonly number[], string])[] = [
  [ascii("ggjt"), "a file of llama.cpp from before GGUF"],
  [ascii("tjgg"), "a file of llama.cpp from before GGUF"],
  [[0x89, ...ascii("HDF")], "HDF5"],
  [[0x89, ...ascii("PNG")], "a picture"],
  [[0xff, 0xd8, 0xff], "a picture"],
  [[0x1f, 0x8b], "a gzip archive: unpack it"],
  [ascii("7z"), "a 7z archive: unpack it"],
  [[0x08], "ONNX"],
  [[0x80], "a bare pickle"],
];

const startsWith = (bytes: Uint8Array, start: ArrayLike<number>): boolean =>
  bytes.length >= start.length && Array.from(start).every((byte, i) => bytes[i] === byte);
