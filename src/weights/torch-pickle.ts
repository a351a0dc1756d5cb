import { UserError } from "../core/errors.ts";
import { type PickleName, type PickleRules, unpickle } from "./pickle.ts";
import { DTYPE_BYTES, elementCount, type StoredDType } from "./tensor-entry.ts";

/** A run of elements that tensors are views of. */
export interface Storage {
  readonly key: string;
  /** Element type; undefined for an untyped storage, whose `count` is in bytes. */
  readonly dtype: StoredDType | undefined;
  readonly count: number;
}

/** A view of a storage: offset and strides are in elements, as in torch. */
export interface StorageView {
  readonly view: true;
  readonly storage: Storage;
  readonly dtype: StoredDType;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

export const isView = (value: unknown): value is StorageView => typeof value === "object" && value !== null && "view" in value;

const STORAGES: Readonly<Record<string, StoredDType>> = {
  DoubleStorage: "F64",
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
};

const DTYPES: Readonly<Record<string, StoredDType>> = {
  float64: "F64",
  double: "F64",
  float32: "F32",
  float: "F32",
  float16: "F16",
  half: "F16",
  bfloat16: "BF16",
  float8_e4m3fn: "F8_E4M3",
  float8_e5m2: "F8_E5M2",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint64: "U64",
  uint32: "U32",
  uint16: "U16",
  uint8: "U8",
  bool: "BOOL",
};

interface TypeName extends PickleName {
  readonly dtype: StoredDType | undefined;
  readonly isStorage: boolean;
}
const isTypeName = (value: unknown): value is TypeName => typeof value === "object" && value !== null && "isStorage" in value;

/** A dictionary whose tensors are in its state. */
class ParameterDict extends Map<unknown, unknown> {}

/**
 * Names that a torch pickle may use: for tensors, their element types and its containers.
 * @see torch/_utils.py: _rebuild_tensor_v2 and its neighbours; torch/_weights_only_unpickler.py
 */
export function torchRules(file: string): PickleRules {
  const storages = new Map<string, Storage>();
  const fail = (problem: string): never => {
    throw new UserError(
      "torch/corrupt",
      `${file}: ${problem}.`,
      "The file is damaged or was not written by torch: download or copy it again.",
    );
  };

  const rebuild = (args: readonly unknown[], typed: boolean): StorageView => {
    const [storage, offset, shape, stride] = args as [Storage, unknown, unknown, unknown];
    if (!isStorage(storage)) return fail("a tensor has no storage");
    if (!isSizes(shape) || !isSizes(stride) || shape.length !== stride.length || !isSize(offset))
      return fail(`a tensor has the shape ${shape}, strides ${stride} and offset ${offset}`);
    const given = typed ? storage.dtype : args[6];
    const dtype = isTypeName(given) ? given.dtype : (given as StoredDType | undefined);
    if (dtype === undefined) return fail("a tensor has no element type");
    const bytes = DTYPE_BYTES[dtype];
    const room = storage.dtype === undefined ? Math.floor(storage.count / bytes) : storage.count;
    const last = shape.reduce((sum, size, i) => sum + (size - 1) * stride[i]!, offset);
    const empty = shape.includes(0);
    if (empty ? offset > room : last >= room) fail(`a tensor [${shape}] reaches element ${last} of a storage of ${room}`);
    if (!Number.isSafeInteger(elementCount(shape) * bytes)) fail(`a tensor has the shape ${shape}`);
    return { view: true, storage, dtype, offset, shape, stride };
  };

  const names = new Map<string, PickleName>();
  const allow = (name: string, make?: PickleName["make"]) => names.set(name, make ? { name, make } : { name });
  allow("collections.OrderedDict", ([pairs]) => new Map((pairs as [unknown, unknown][] | undefined) ?? []));
  allow("torch.nn.modules.container.ParameterDict", () => new ParameterDict()); // of old textual inversions
  for (const set of ["__builtin__.set", "builtins.set"]) allow(set, ([values]) => values ?? []); // in its state
  allow("torch.Size", ([sizes]) => sizes);
  allow("torch.device", ([device]) => device);
  allow("torch._utils._rebuild_tensor", (args) => rebuild(args, true));
  allow("torch._utils._rebuild_tensor_v2", (args) => rebuild(args, true));
  allow("torch._utils._rebuild_tensor_v3", (args) => rebuild(args, false));
  allow("torch._utils._rebuild_parameter", ([tensor]) => tensor);
  allow("torch._utils._rebuild_parameter_with_state", ([tensor]) => tensor);
  const allowType = (name: string, dtype: StoredDType | undefined, isStorage: boolean) => {
    const type: TypeName = { name, dtype, isStorage };
    names.set(name, type);
  };
  for (const [name, dtype] of Object.entries(STORAGES)) allowType(`torch.${name}`, dtype, true);
  for (const name of ["torch.storage.UntypedStorage", "torch.UntypedStorage"]) allowType(name, undefined, true);
  for (const [name, dtype] of Object.entries(DTYPES)) allowType(`torch.${name}`, dtype, false);

  const persistent = (id: unknown): Storage => {
    const [kind, type, key, , count, part] = Array.isArray(id) ? id : [];
    if (kind !== "storage" || !isTypeName(type) || !type.isStorage || !isSize(count) || typeof key !== "string")
      return fail("it refers to something that is not a storage of torch");
    if (part != null) return fail("it has a storage within a storage, as only very old versions wrote");
    const known = storages.get(key);
    if (known !== undefined && (known.dtype !== type.dtype || known.count !== count))
      fail(`the storage ${key} is described twice`);
    const storage = known ?? { key, dtype: type.dtype, count };
    storages.set(key, storage);
    return storage;
  };
  const setState = (dictionary: Map<unknown, unknown>, state: unknown): void => {
    const own = dictionary instanceof ParameterDict && state instanceof Map ? state.get("_parameters") : undefined;
    if (own instanceof Map) for (const [name, value] of own) dictionary.set(name, value);
  };
  return { file, names, persistent, setState };
}

export const readTorchPickle = (bytes: Uint8Array, file: string, start = 0): { value: unknown; end: number } =>
  unpickle(bytes, torchRules(file), start);

export const storageBytes = ({ dtype, count }: Storage): number => count * (dtype === undefined ? 1 : DTYPE_BYTES[dtype]);

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isSizes = (value: unknown): value is number[] => Array.isArray(value) && value.every(isSize);
const isStorage = (value: unknown): value is Storage => typeof value === "object" && value !== null && "count" in value;
