import { UserError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { DTYPE_BYTES, elementCount, type StoredDType } from "./tensor-entry.ts";
import type { TensorFile } from "./tensor-file.ts";

export const NPY_MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // "\x93NUMPY"

/** Name under which the one array of a file is found. */
export const NPY_ARRAY = "array";

const DTYPES: Readonly<Record<string, StoredDType>> = {
  "<f8": "F64",
  "<f4": "F32",
  "<f2": "F16",
  "<i8": "I64",
  "<i4": "I32",
  "<i2": "I16",
  "|i1": "I8",
  "<u8": "U64",
  "<u4": "U32",
  "<u2": "U16",
  "|u1": "U8",
  "|b1": "BOOL",
};
const MOST_HEADER = 2 ** 16;

/**
 * Reads the header of an array that NumPy has saved.
 * @throws UserError npy/damaged, npy/unsupported (numbers of another format, objects)
 * @see numpy.lib.format, versions 1.0 to 3.0
 */
export async function readNpy(file: ByteSource): Promise<TensorFile> {
  const { id: path, size } = file;
  const damaged = (why: string): never => {
    throw new UserError("npy/damaged", `${path} is no whole NumPy array: ${why}.`, "Save it again with numpy.save.");
  };
  const start = await file.read(0, Math.min(size, 12));
  if (size < 12) damaged("it ends in its header");
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const [at, length] = view.getUint8(6) === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  if (length > MOST_HEADER || at + length > size) damaged("it ends in its header");
  const text = new TextDecoder("latin1").decode(await file.read(at, length));
  const [, descr] = /'descr'\s*:\s*'([^']*)'/.exec(text) ?? [];
  const [, order] = /'fortran_order'\s*:\s*(True|False)/.exec(text) ?? [];
  const [, sizes] = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(text) ?? [];
  if (order === undefined || sizes === undefined) return damaged("its header says no shape");
  const dtype = descr === undefined || !Object.hasOwn(DTYPES, descr) ? undefined : DTYPES[descr]!;
  if (dtype === undefined)
    throw new UserError(
      "npy/unsupported",
      `${path} holds ${descr === undefined ? "no plain numbers" : `numbers of the format ${descr}`}, which are not read.`,
      "Save the array with numpy.save as float32.",
    );
  const shape = [...sizes.matchAll(/\d+/g)].map(([digits]) => Number(digits));
  const bytes = elementCount(shape) * DTYPE_BYTES[dtype];
  if (!Number.isSafeInteger(bytes) || at + length + bytes !== size)
    damaged(`[${shape}] of ${descr} takes ${bytes} bytes, and ${size - at - length} are there`);
  const wide = shape.filter((n) => n !== 1).length;
  if (order === "True" && wide > 1 && shape.length !== 2)
    throw new UserError(
      "npy/unsupported",
      `${path} is stored column by column, with ${shape.length} dimensions.`,
      "Save numpy.ascontiguousarray of the array.",
    );
  const entry = {
    name: NPY_ARRAY,
    dtype,
    shape,
    source: { kind: "file" as const, file, offset: at + length, length: bytes },
    ...(order === "True" && wide > 1 && { transposed: true as const }),
  };
  return { format: "npy", path, tensors: new Map([[NPY_ARRAY, entry]]), metadata: {} };
}
