import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { UserError } from "../../core/errors.ts";
import {
  type AttributeProto,
  NodeProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "../../graph/onnx/onnx_pb.ts";
import type { ByteSource } from "../../weights/byte-source.ts";
import { type MessageField, MessageReader, NotAMessage } from "./message-fields.ts";

/** An input or output of a foreign model: its name, whether its numbers are float32, and its sizes, undefined where they are free. */
export interface OnnxValue {
  readonly name: string;
  readonly isFloat32: boolean;
  /** Undefined if the file does not say. */
  readonly shape: readonly (number | undefined)[] | undefined;
}

export interface OnnxHeader {
  /** Inputs that must be given: those without a value in the file. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Name and operation of the first nodes. */
  readonly first: readonly { readonly name: string; readonly op: string }[];
}

const MOST_BYTES = 2 ** 30; // the largest recogniser of the packs has a quarter
const MOST_NODE = 2 ** 26; // bytes of one node, constants in it included
const FIRST = 8;

// fields of onnx.proto
const MODEL = { graph: 7, trainingInfo: 20, functions: 25 };
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, sparseInitializer: 15 };
const TENSOR = { name: 8, externalData: 13, dataLocation: 14 };

/**
 * Reads what a foreign ONNX file expects and gives, and refuses what could make it more than a computation on its input: operations that are not
 * ONNX's own, functions and graphs within, weights in other files. The weights are passed over.
 *
 * @throws UserError face-pack/too-large, face-pack/not-onnx, face-pack/custom-operations, face-pack/external-data
 * @see onnx/onnx 1.19 onnx/onnx.proto
 */
export async function readOnnxHeader(file: ByteSource): Promise<OnnxHeader> {
  if (file.size > MOST_BYTES)
    throw new UserError(
      "face-pack/too-large",
      `${file.id} has ${file.size} bytes; a network that looks at faces has at most ${MOST_BYTES}.`,
      "Give a pack of InsightFace, such as antelopev2 or buffalo_l, as it was published.",
    );
  try {
    return await readModel(file);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw notOnnx(file, error instanceof NotAMessage ? error.message : "a part of it cannot be read", error);
  }
}

const notOnnx = (file: ByteSource, why: string, cause?: unknown): UserError =>
  new UserError(
    "face-pack/not-onnx",
    `${file.id} is not an ONNX model, or is damaged: ${why}.`,
    "Download the pack again, and check that the files in it are whole: a page that says where a file is may have been saved in its place.",
    { cause },
  );

async function readModel(file: ByteSource): Promise<OnnxHeader> {
  const reader = new MessageReader(file);
  let graph: MessageField | undefined;
  for await (const field of reader.fields(0, file.size)) {
    if (field.number === MODEL.graph && field.value === undefined) {
      if (graph !== undefined) throw new NotAMessage("it has two graphs");
      graph = field;
    }
    if (field.number === MODEL.functions || field.number === MODEL.trainingInfo)
      throw custom(file, "it defines operations of its own");
  }
  if (graph === undefined) throw new NotAMessage("it has no graph");
  const inputs: OnnxValue[] = [];
  const outputs: OnnxValue[] = [];
  const first: { name: string; op: string }[] = [];
  const known = new Set<string>();
  let nodes = 0;
  for await (const field of reader.fields(graph.at, graph.at + graph.length))
    switch (field.number) {
      case GRAPH.node: {
        const node = await message(file, field, NodeProtoSchema);
        if (node.domain !== "" && node.domain !== "ai.onnx")
          throw custom(file, `it uses the operation ${node.opType} of "${node.domain}"`);
        for (const attribute of node.attribute) checkAttribute(file, node.opType, attribute);
        if (nodes++ < FIRST) first.push({ name: node.name, op: node.opType });
        break;
      }
      case GRAPH.initializer:
        known.add(await checkTensor(file, reader, field));
        break;
      case GRAPH.input:
        inputs.push(ioOf(await message(file, field, ValueInfoProtoSchema)));
        break;
      case GRAPH.output:
        outputs.push(ioOf(await message(file, field, ValueInfoProtoSchema)));
        break;
      case GRAPH.sparseInitializer:
        throw custom(file, "it has sparse weights");
    }
  if (nodes === 0) throw new NotAMessage("its graph computes nothing");
  return { inputs: inputs.filter(({ name }) => !known.has(name)), outputs, first };
}

async function message<M extends DescMessage>(
  file: ByteSource,
  { at, length, value }: MessageField,
  schema: M,
): Promise<MessageShape<M>> {
  if (value !== undefined || length > MOST_NODE) throw new NotAMessage(`the field at byte ${at} is not what it should be`);
  return fromBinary(schema, await file.read(at, length));
}

const custom = (file: ByteSource, what: string): UserError =>
  new UserError(
    "face-pack/custom-operations",
    `${file.id} needs more than ONNX's own operations: ${what}. It is not opened.`,
    "Give a pack of InsightFace as it was published, or export the network with standard operations only.",
  );

const external = (file: ByteSource, name: string): UserError =>
  new UserError(
    "face-pack/external-data",
    `${file.id} keeps the weight "${name}" in another file. It is not opened.`,
    "Save the network with its weights inside: onnx.save_model(model, path, save_as_external_data=False).",
  );

function checkAttribute(
  file: ByteSource,
  op: string,
  { g, graphs, sparseTensor, sparseTensors, t, tensors, refAttrName }: AttributeProto,
): void {
  if (g !== undefined || graphs.length > 0) throw custom(file, `${op} has a graph within`);
  if (sparseTensor !== undefined || sparseTensors.length > 0) throw custom(file, `${op} has sparse numbers`);
  if (refAttrName !== "") throw custom(file, `${op} refers to an attribute of a function`);
  for (const tensor of t === undefined ? tensors : [t, ...tensors])
    if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL || tensor.externalData.length > 0)
      throw external(file, tensor.name);
}

/** @returns the name of a weight, whose numbers are passed over */
async function checkTensor(file: ByteSource, reader: MessageReader, { at, length, value }: MessageField): Promise<string> {
  if (value !== undefined) throw new NotAMessage("a weight is no message");
  let name = "";
  let isExternal = false;
  for await (const field of reader.fields(at, at + length)) {
    if (field.number === TENSOR.name) {
      if (field.length > 10_000) throw new NotAMessage("a name is too long");
      name = new TextDecoder().decode(await file.read(field.at, field.length));
    }
    if (field.number === TENSOR.externalData || (field.number === TENSOR.dataLocation && field.value !== 0)) isExternal = true;
  }
  if (isExternal) throw external(file, name);
  return name;
}

function ioOf({ name, type }: ValueInfoProto): OnnxValue {
  if (type?.value.case !== "tensorType") return { name, isFloat32: false, shape: undefined };
  const { elemType, shape } = type.value.value;
  return {
    name,
    isFloat32: elemType === TensorProto_DataType.FLOAT,
    shape: shape?.dim.map(({ value }) => (value.case === "dimValue" && value.value > 0n ? Number(value.value) : undefined)),
  };
}
