import { create, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "../../../graph/onnx/onnx_pb.ts";
import type { WeightRange } from "../../eight-bit-probe.ts";

const { FLOAT, FLOAT16, INT8, INT64 } = TensorProto_DataType;

/**
 * Encodes an ONNX model that rounds a linear layer's weight [out, in] to 8 bits with a scale for each output: `rounded` int8 [in, out] and `scales`
 * float32 [out]. Low-rank updates up·down are added and columns multiplied first.
 *
 * For the range "paired" ({@link WeightRange}), the input `neighbours` gives the order of the columns as a shape: [out, pairs, 2, places]. The
 * weights of a pair then sum to 128 at most: to 127 before rounding, which adds up to a half for each.
 */
export function roundModel(dtype: "float16" | "float32", range: WeightRange): Uint8Array {
  const nodes: NodeProto[] = [];
  const node = (opType: string, input: string[], output: string, ints: Record<string, number | number[]> = {}): string => {
    const attribute = Object.entries(ints).map(([name, value]) =>
      Array.isArray(value)
        ? create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INTS, ints: value.map(BigInt) })
        : create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) }),
    );
    nodes.push(create(NodeProtoSchema, { opType, input, output: [output], name: output, attribute }));
    return output;
  };
  const wide = node("Cast", ["weight"], "wide", { to: FLOAT });
  const merged = node("Add", [wide, node("MatMul", ["up", "down"], "change")], "merged");
  const whole = node("Mul", [merged, "columns"], "whole");
  const largest = (of: string, axes: string, output: string): string =>
    node("ReduceMax", [node("Abs", [of], `${output}:sizes`), axes], output, { keepdims: 0 });
  const single = largest(whole, "last", "single");
  const sums = (): string => {
    const inPairs = node("Reshape", [whole, "neighbours"], "inPairs");
    const [first, second] = [0, 1].map((i) => node("Gather", [inPairs, `${i}`], `place${i}`, { axis: 2 })) as [string, string];
    return node("Add", [first, second], "sums"); // a reduction over the axis would take thirty times as long
  };
  const most = range === "full" ? single : node("Max", [single, largest(sums(), "within", "double")], "most");
  const scales = node("Div", [node("Max", [most, "least"], "range"), "steps"], "scales");
  const levels = node(
    "QuantizeLinear",
    [whole, scales, node("Cast", [node("Mul", [scales, "zero"], "zeros")], "points", { to: INT8 })],
    "levels",
    {
      axis: 0,
    },
  );
  node("Transpose", [levels], "rounded", { perm: [1, 0] });

  const raw = (name: string, dataType: TensorProto_DataType, values: Float32Array | BigInt64Array, dims: bigint[]) =>
    create(TensorProtoSchema, { name, dataType, dims, rawData: new Uint8Array(values.buffer) });
  const value = (name: string, elemType: TensorProto_DataType, dims: string[]) =>
    create(ValueInfoProtoSchema, {
      name,
      type: {
        value: {
          case: "tensorType",
          value: { elemType, shape: { dim: dims.map((d) => ({ value: { case: "dimParam" as const, value: d } })) } },
        },
      },
    });
  const model = create(ModelProtoSchema, {
    irVersion: 10n,
    producerName: "photomaker",
    opsetImport: [{ domain: "", version: 21n }],
    graph: {
      name: "round",
      node: nodes,
      initializer: [
        ...(range === "full"
          ? []
          : [
              raw("0", INT64, BigInt64Array.of(0n), []),
              raw("1", INT64, BigInt64Array.of(1n), []),
              raw("within", INT64, BigInt64Array.of(1n, 2n), [2n]),
            ]),
        raw("last", INT64, BigInt64Array.of(1n), [1n]),
        raw("least", FLOAT, Float32Array.of(1e-20), []),
        raw("steps", FLOAT, Float32Array.of(127), []),
        raw("zero", FLOAT, Float32Array.of(0), []),
      ],
      input: [
        value("weight", dtype === "float16" ? FLOAT16 : FLOAT, ["out", "in"]),
        value("down", FLOAT, ["rank", "in"]),
        value("up", FLOAT, ["out", "rank"]),
        value("columns", FLOAT, ["in"]),
        ...(range === "full" ? [] : [value("neighbours", INT64, ["four"])]),
      ],
      output: [value("rounded", INT8, ["in", "out"]), value("scales", FLOAT, ["out"])],
    },
  });
  return toBinary(ModelProtoSchema, model);
}
