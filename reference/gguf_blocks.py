"""Numbers in GGUF's blocks and what gguf-py makes of them: fixtures/formats/blocks.gguf, blocks.safetensors.

python reference/gguf_blocks.py      needs gguf 0.19.0, numpy, safetensors
"""

import pathlib

import gguf
import numpy as np
from safetensors.numpy import save_file

out = pathlib.Path(__file__).parent.parent / "fixtures" / "formats"
Type = gguf.GGMLQuantizationType
random = np.random.default_rng(0)

# places of half-precision scales in a block; all other bytes may be anything
SCALES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0],
    Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
    Type.IQ4_NL: [0], Type.IQ4_XS: [0],
}
ROWS, COLUMNS = 3, 512

writer = gguf.GGUFWriter(out / "blocks.gguf", "sdxl")
writer.add_quantization_version(2)
expected = {}
for kind, places in SCALES.items():
    numbers, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (ROWS * COLUMNS // numbers, size), dtype=np.uint8)
    for place in places:
        scales = (random.standard_normal(len(blocks)) * 0.02).astype(np.float16)
        scales[0] = 3e-6  # not normalised
        blocks[:, place : place + 2] = scales.view(np.uint8).reshape(-1, 2)
    data = blocks.reshape(ROWS, -1)
    writer.add_tensor(kind.name, data, raw_dtype=kind)
    expected[kind.name] = gguf.quants.dequantize(data, kind)

values = random.standard_normal((4, 8, 3, 3)).astype(np.float32)
for kind in [Type.F32, Type.F16, Type.BF16]:
    data = gguf.quants.quantize(values, kind)
    writer.add_tensor(kind.name, data, raw_shape=data.shape, raw_dtype=kind)
    expected[kind.name] = gguf.quants.dequantize(data, kind).astype(np.float32)

# a convolution whose rows are no whole blocks, as ComfyUI-GGUF's convert.py flattens it
values = random.standard_normal((8, 32, 3, 3)).astype(np.float32)
flat = gguf.quants.quantize(values.reshape(-1, 256), Type.Q8_0)
writer.add_array("comfy.gguf.orig_shape.flattened", values.shape)
writer.add_tensor("flattened", flat, raw_dtype=Type.Q8_0)
expected["flattened"] = gguf.quants.dequantize(flat, Type.Q8_0).reshape(values.shape)

writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
save_file({name: np.ascontiguousarray(value) for name, value in expected.items()}, out / "blocks.safetensors")
