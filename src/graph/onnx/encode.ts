import { create, toBinary } from "@bufbuild/protobuf";
import type { Steps } from "../../core/steps.ts";
import type { ByteSource } from "../../weights/byte-source.ts";
import type { StoredDType as StoredType, TensorEntry } from "../../weights/tensor-entry.ts";
import { type Dim, multipleOfName, visitDim } from "../dim.ts";
import { constantOp, inputOp, type ParamAttrs, paramOp } from "../ops/source.ts";
import { inOrder } from "../rewrite.ts";
import { type DType, expansion, is, knownExpansion, type Tensor } from "../tensor.ts";
import type { Attribute, Emitter, Lowerings, NodeOptions } from "./emitter.ts";
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./onnx_pb.ts";

const OPSET = 21;
const IR_VERSION = 10;
const ELEMENT: Record<DType, TensorProto_DataType> = { f32: TensorProto_DataType.FLOAT, i64: TensorProto_DataType.INT64 };
const STORED: Partial<Record<StoredType, TensorProto_DataType>> = {
  F32: TensorProto_DataType.FLOAT,
  F16: TensorProto_DataType.FLOAT16,
  BF16: TensorProto_DataType.BFLOAT16,
  F64: TensorProto_DataType.DOUBLE,
  F8_E4M3: TensorProto_DataType.FLOAT8E4M3FN,
  F8_E5M2: TensorProto_DataType.FLOAT8E5M2,
  I8: TensorProto_DataType.INT8,
  U8: TensorProto_DataType.UINT8,
};

/**
 * The floating-point type that an operation is computed in. `half`: float16. `wide`: float32, and the result is cast back to the type of the
 * inputs. `same`: the type of the inputs, which is float16 if any of them is.
 */
export type Arithmetic = "half" | "wide" | "same";

export interface OnnxOptions {
  readonly lowerings: Lowerings;
  /** Everything is float32 when absent. Inputs and outputs of the model are float32 in any case. Not for graphs with gradients. */
  readonly arithmetic?: ((t: Tensor) => Arithmetic) | undefined;
  /** The name of a weight file in the model: a path relative to the folder that the session is given. */
  readonly locate: (file: ByteSource) => string;
}

/**
 * An ONNX model (opset 21) that computes `outputs` from the inputs that they depend on. Weights are not copied: the model names file, offset
 * and length, except for weights whose bytes are only in memory. Yields now and then: SDXL's UNet takes some tenths of a second.
 * @throws TypeError if an operation has neither a lowering nor an expansion
 */
export function* encodeOnnx(outputs: Readonly<Record<string, Tensor>>, options: OnnxOptions): Steps<Uint8Array> {
  const order = inOrder(Object.values(outputs));
  const writer = new Writer(options, expandedIn(order));
  for (const t of order) if (is(t, inputOp)) writer.declareInput(t);
  for (const [name, t] of Object.entries(outputs)) yield* writer.declareOutput(name, t);
  return yield* writer.finish();
}

/** Tensors, or nodes, between two yields. */
const AT_ONCE = 200;

function* batches<T>(all: readonly T[]): Generator<T[]> {
  for (let i = 0; i < all.length; i += AT_ONCE) yield all.slice(i, i + AT_ONCE);
}

/** Operations whose expansion a gradient uses: written whole as well, they would be computed twice. */
function expandedIn(order: readonly Tensor[]): Set<Tensor> {
  const needed = new Set(order);
  const isPart = (y: Tensor, value: Tensor): boolean =>
    inOrder([value], new Set(y.inputs)).some((t) => t.inputs.length > 0 && needed.has(t));
  return new Set(
    order.filter((y) => {
      const value = knownExpansion(y);
      return value !== undefined && isPart(y, value);
    }),
  );
}

class Writer implements Emitter {
  readonly #options: OnnxOptions;
  /** Domains of operations that are not ONNX's own. */
  readonly #domains = new Set(["com.microsoft"]);
  readonly #nodes: NodeProto[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  readonly #values = new Map<Tensor, string>();
  readonly #constants = new Map<string, string>();
  readonly #known = new Map<string, string>();
  /** First outputs of nodes. */
  readonly #computed = new Set<string>();
  /**
   * Shapes of nodes' outputs, declared because ONNX Runtime loses track of symbolic sizes at a reshape: it then searches long for a buffer of the
   * same size to reuse, and finds none.
   */
  readonly #shapes = new Map<string, ValueInfoProto>();
  readonly #sizes = new Map<string, string>();
  readonly #namedSizes = new Map<string, { input: string; axis: number; factor: number }>();
  readonly #expanded: ReadonlySet<Tensor>;
  readonly #weights = new Map<string, number>();
  readonly #stored = new Map<TensorEntry, string>();
  /** Names of float16 values. */
  readonly #halves = new Set<string>();
  /** Whether the operation being written is computed in float16. */
  #half = false;
  #count = 0;

  constructor(options: OnnxOptions, expanded: ReadonlySet<Tensor>) {
    this.#options = options;
    this.#expanded = expanded;
  }

  declareInput(t: Tensor<{ name: string }>): void {
    if (this.#values.has(t)) return;
    const { name } = t.attrs;
    if (this.#inputs.some((i) => i.name === name)) throw new TypeError(`two inputs are named "${name}"`);
    this.#inputs.push(valueInfo(name, t));
    this.#values.set(t, name);
    t.shape.forEach((d, axis) => {
      const multiple = multipleOfName(d);
      if (multiple !== undefined && !this.#namedSizes.has(multiple.name))
        this.#namedSizes.set(multiple.name, { input: name, axis, factor: multiple.factor });
    });
  }

  *declareOutput(name: string, t: Tensor): Steps<void> {
    for (const batch of batches(inOrder([t], this.#values))) {
      for (const each of batch) this.#value(each);
      yield;
    }
    const value = this.#in(this.#value(t), false);
    this.#nodes.push(create(NodeProtoSchema, { opType: "Identity", input: [value], output: [name], name: `out_${name}` }));
    this.#outputs.push(valueInfo(name, t));
  }

  /** The model in pieces to be concatenated: readers of protobuf merge repeated occurrences of a field. */
  *finish(): Steps<Uint8Array> {
    const head = create(ModelProtoSchema, {
      irVersion: BigInt(IR_VERSION),
      producerName: "photomaker",
      opsetImport: [{ domain: "", version: BigInt(OPSET) }, ...[...this.#domains].map((domain) => ({ domain, version: 1n }))],
      graph: { name: "model", input: this.#inputs, output: this.#outputs },
    });
    const pieces = [toBinary(ModelProtoSchema, head)];
    for (const node of batches(this.#nodes)) {
      pieces.push(toBinary(ModelProtoSchema, create(ModelProtoSchema, { graph: { node } })));
      yield;
    }
    for (const valueInfo of batches([...this.#shapes.values()])) {
      pieces.push(toBinary(ModelProtoSchema, create(ModelProtoSchema, { graph: { valueInfo } })));
      yield;
    }
    for (const initializer of batches(this.#initializers)) {
      pieces.push(toBinary(ModelProtoSchema, create(ModelProtoSchema, { graph: { initializer } })));
      yield;
    }
    return joined(pieces);
  }

  node(type: string, inputs: readonly string[], { attrs = {}, domain = "", outputs = 1 }: NodeOptions = {}): string {
    const key = JSON.stringify([type, domain, inputs, attrs, outputs]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const name = `${type}_${this.#count++}`;
    this.#known.set(key, name);
    this.#computed.add(name);
    const names = Array.from({ length: outputs }, (_, i) => (i === 0 ? name : `${name}_${i}`));
    const attribute = Object.entries(attrs).map(([key, value]) => encodeAttribute(key, value));
    if (domain !== "") this.#domains.add(domain);
    this.#nodes.push(create(NodeProtoSchema, { opType: type, domain, input: [...inputs], output: names, name, attribute }));
    return name;
  }

  ints(values: readonly number[]): string {
    return this.#constant("i64", values, [values.length]);
  }

  floats(values: readonly number[], shape: readonly number[]): string {
    return this.#in(this.#constant("f32", values, shape), this.#half);
  }

  dims(shape: readonly Dim[]): string {
    if (shape.every((d) => typeof d === "number")) return this.ints(shape as number[]);
    return this.node(
      "Concat",
      shape.map((d) => this.#size(d)),
      { attrs: { axis: 0 } },
    );
  }

  /** A size as a vector of one element. */
  #size(d: Dim): string {
    const key = typeof d === "number" ? `${d}` : d.key;
    const known = this.#sizes.get(key);
    if (known !== undefined) return known;
    const value = visitDim<string>(d, {
      constant: (x) => this.ints([x]),
      name: (name) => this.#namedSize(name),
      add: (a, b) => this.node("Add", [a, b]),
      mul: (a, b) => this.node("Mul", [a, b]),
      // (n + by - 1) / by: ONNX rounds quotients of integers towards zero, and sizes are positive
      ceil: (of, by) => this.node("Div", [this.node("Add", [of, this.ints([by - 1])]), this.ints([by])]),
    });
    this.#sizes.set(key, value);
    return value;
  }

  #namedSize(name: string): string {
    const at = this.#namedSizes.get(name);
    if (at === undefined) throw new TypeError(`The size "${name}" is no axis of any input.`);
    const known = this.#sizes.get(name);
    if (known !== undefined) return known;
    const whole = this.node("Shape", [at.input], { attrs: { start: at.axis, end: at.axis + 1 } });
    const value = at.factor === 1 ? whole : this.node("Div", [whole, this.ints([at.factor])]);
    this.#sizes.set(name, value);
    return value;
  }

  #constant(dtype: DType, values: readonly number[], shape: readonly number[]): string {
    const key = `${dtype}[${shape}]${values}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = `const_${this.#constants.size}`;
    const raw = dtype === "f32" ? Float32Array.from(values) : BigInt64Array.from(values, (v) => BigInt(v));
    this.#initializers.push(
      create(TensorProtoSchema, {
        name,
        dims: shape.map((d) => BigInt(d)),
        dataType: ELEMENT[dtype],
        rawData: new Uint8Array(raw.buffer),
      }),
    );
    this.#constants.set(key, name);
    return name;
  }

  #value(root: Tensor): string {
    for (const t of inOrder([root], this.#values)) {
      const name = this.#emit(t);
      this.#values.set(t, name);
      if (this.#computed.has(name) && !this.#shapes.has(name)) this.#shapes.set(name, valueInfo(name, t, this.#halves.has(name)));
    }
    return this.#values.get(root)!;
  }

  #emit(t: Tensor): string {
    if (is(t, constantOp)) return this.#constant(t.attrs.dtype, t.attrs.values, t.attrs.shape);
    if (is(t, paramOp)) {
      const { name, isFloat32 } = this.weight(t.attrs);
      const wide = isFloat32 || this.#halves.has(name) ? name : this.widen(name);
      return this.scaled(wide, t.attrs);
    }
    const value = this.#lowered(t);
    if (value !== undefined) return value;
    if (t.op.expand === undefined) throw new TypeError(`"${t.op.name}" has no lowering for this target and no expansion`);
    return this.#value(expansion(t));
  }

  /** Writes an operation as nodes, casting its inputs and its result to the types wanted. */
  #lowered(t: Tensor): string | undefined {
    const lowering = this.#expanded.has(t) ? undefined : this.#options.lowerings.get(t.op);
    if (lowering === undefined) return undefined;
    const names = t.inputs.map((x) => this.#values.get(x)!);
    const arithmetic = this.#options.arithmetic?.(t);
    if (arithmetic === undefined || t.dtype !== "f32") return lowering(t, names, this);
    const result = arithmetic === "half" || this.#isHalf(t.inputs, names);
    this.#half = result && arithmetic !== "wide";
    const inputs = names.map((name, i) => (t.inputs[i]!.dtype === "f32" ? this.#in(name, this.#half) : name));
    const value = lowering(t, inputs, this);
    const inHalf = this.#half;
    this.#half = false;
    if (value === undefined) return undefined;
    if (inHalf) this.#halves.add(value);
    return this.#in(value, result);
  }

  /** Whether an operation's values are float16: its computed inputs decide or, where it has none, its weights. */
  #isHalf(tensors: readonly Tensor[], names: readonly string[]): boolean {
    const isSource = tensors.map((t) => is(t, paramOp) || is(t, constantOp));
    const decides = (i: number): boolean => tensors[i]!.dtype === "f32" && !isSource[i];
    const some = names.some((_, i) => decides(i));
    return names.some((name, i) => this.#halves.has(name) && (decides(i) || !some));
  }

  /** A value as float16 or float32. */
  #in(name: string, half: boolean): string {
    if (this.#halves.has(name) === half) return name;
    if (!half) return this.widen(name);
    const cast = this.node("Cast", [name], { attrs: { to: TensorProto_DataType.FLOAT16 } });
    this.#halves.add(cast);
    return cast;
  }

  /** A unique name: two components in one graph may have weights of the same path. */
  #weightName(path: string): string {
    const count = (this.#weights.get(path) ?? 0) + 1;
    this.#weights.set(path, count);
    return count === 1 ? `w:${path}` : `w:${path}#${count}`;
  }

  weight({ path, entry }: ParamAttrs): { name: string; isFloat32: boolean } {
    const dataType = STORED[entry.dtype];
    if (dataType === undefined)
      throw new TypeError(`${path} is stored as ${entry.dtype}, which is not a number format for weights`);
    const isFloat32 = dataType === TensorProto_DataType.FLOAT;
    const known = this.#stored.get(entry);
    if (known !== undefined) return { name: known, isFloat32 };
    const dims = entry.shape.map((d) => BigInt(d));
    const { source } = entry;
    if (source.kind === "computed") throw new TypeError(`${path} is still to be computed, and ONNX Runtime reads bytes`);
    const name = this.#weightName(path);
    this.#stored.set(entry, name);
    if (this.#options.arithmetic !== undefined && entry.dtype === "F16") this.#halves.add(name);
    this.#initializers.push(
      create(TensorProtoSchema, {
        name,
        dims,
        dataType,
        ...(source.kind === "bytes"
          ? { rawData: source.bytes }
          : {
              dataLocation: TensorProto_DataLocation.EXTERNAL,
              externalData: [
                { key: "location", value: this.#options.locate(source.file) },
                { key: "offset", value: `${source.offset}` },
                { key: "length", value: `${source.length}` },
              ],
            }),
      }),
    );
    return { name, isFloat32 };
  }

  /** A weight in float32 times its scale, if it has one. ONNX Runtime computes it once, while it loads the model. */
  scaled(name: string, { path, entry: { scale, shape } }: ParamAttrs): string {
    if (scale === undefined) return name;
    const rows = scale.shape.length === 0 ? scale.shape : [scale.shape[0]!, ...shape.slice(1).map(() => 1)];
    const factor = this.weight({ path: `${path}:scale`, entry: { ...scale, shape: rows } });
    return this.node("Mul", [name, factor.isFloat32 ? factor.name : this.widen(factor.name)]);
  }

  widen(name: string): string {
    return this.node("Cast", [name], { attrs: { to: TensorProto_DataType.FLOAT } });
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

function encodeAttribute(name: string, value: Attribute): AttributeProto {
  const type = AttributeProto_AttributeType;
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: type.STRING, s: new TextEncoder().encode(value) });
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: type.INT, i: BigInt(value) });
  if ("float" in value) return create(AttributeProtoSchema, { name, type: type.FLOAT, f: value.float });
  return create(AttributeProtoSchema, { name, type: type.INTS, ints: value.map((v) => BigInt(v)) });
}

function valueInfo(name: string, t: Tensor, half = false): ValueInfoProto {
  const elemType = half ? TensorProto_DataType.FLOAT16 : ELEMENT[t.dtype];
  const dim = t.shape.map((d) =>
    typeof d === "number"
      ? { value: { case: "dimValue" as const, value: BigInt(d) } }
      : { value: { case: "dimParam" as const, value: d.key } },
  );
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: "tensorType", value: { elemType, shape: { dim } } } },
  });
}
