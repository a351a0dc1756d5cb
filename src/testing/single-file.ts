import { floatsToHalves } from "../core/floats.ts";
import { FileSource } from "../weights/file-access.node.ts";
import { openModel } from "../weights/open-model.node.ts";
import { readBytes, readFloats, readRowMajor } from "../weights/read-tensor.ts";
import { COMPONENTS, splitSingleFile } from "../weights/sdxl-single-file.ts";
import { DTYPE_BYTES, elementCount, type StoredDType, type TensorEntry } from "../weights/tensor-entry.ts";
import { goldenPath } from "./golden.ts";
import { goldenJson } from "./tensors.ts";

/** Type, shape and checksum of each tensor of the tiny model's single file. */
export const singleFileHeader: Readonly<Record<string, readonly [StoredDType, number[], string]>> =
  goldenJson("tiny-sdxl.header.json").tensors;

/** Tensors in one file each, so that a range identifies its tensor. */
export const singleFileTensors: ReadonlyMap<string, TensorEntry> = new Map(
  Object.entries(singleFileHeader).map(([name, [dtype, shape]]) => {
    const length = elementCount(shape) * DTYPE_BYTES[dtype];
    return [
      name,
      { name, dtype, shape, source: { kind: "file", file: new FileSource(name, 1000 + length), offset: 1000, length } },
    ];
  }),
);

/** Bytes of the single file's tensors, assembled from the folder's, without those that no model uses. */
export async function singleFileBytes(): Promise<Map<string, Uint8Array>> {
  const folder = await openModel(goldenPath("tiny-sdxl"));
  const split = splitSingleFile(singleFileTensors);
  const rebuilt = new Map<string, Uint8Array>();
  for (const component of COMPONENTS)
    for (const [name, { source, dtype, transposed, shape }] of split.components[component]) {
      if (source.kind !== "file") throw new Error(`${name} is not in place`);
      if (dtype !== "F16") throw new Error(`${name} is ${dtype}`);
      const own = folder.components[component].tensors.get(name)!;
      const halves = own.dtype === "F16" ? await readBytes(own) : new Uint8Array(floatsToHalves(await readFloats(own)).buffer);
      const bytes = transposed
        ? await readRowMajor({ name, dtype, shape: shape.toReversed(), transposed, source: { kind: "bytes", bytes: halves } })
        : halves;
      if (bytes.length !== source.length) throw new Error(`${name} has ${bytes.length} bytes, not ${source.length}`);
      const { id } = source.file;
      const whole = rebuilt.get(id) ?? new Uint8Array(elementCount(singleFileHeader[id]![1]) * 2);
      whole.set(bytes, source.offset - 1000);
      rebuilt.set(id, whole);
    }
  return rebuilt;
}
