"""UNet evaluations and VAE decodes of OpenVINO, converted from diffusers' models, for run.ts. See there how to get it."""

from arguments import arguments

args = arguments(
    ("--precision", {"choices": ["bf16", "f32"], "default": "bf16"}),
    ("--ir", {"required": True, "help": "folder for the converted models, which are reused (SDXL: 10.5 GB)"}),
)

import json
import os
from types import SimpleNamespace

import openvino as ov
import torch

from peer import Forward, factor_of, inputs, load, serve

core = ov.Core()
SOURCE = f"{os.path.abspath(args.model)} {os.stat(args.model).st_mtime_ns}"


def converted(part):
    """The part's model for OpenVINO, converted if missing, and its config."""
    folder = os.path.join(args.ir, part)
    note = os.path.join(folder, "source.txt")
    if not os.path.exists(note):
        os.makedirs(folder, exist_ok=True)
        model = load(part, args, torch.float32)
        example = inputs(part, model.config, 8, {"width": 64, "height": 64, "batch": 2}, torch.float32)
        with torch.no_grad():
            graph = ov.convert_model(Forward(part, model), example_input=example)
        # in half precision the frequencies of the timestep embedding would be rounded too, which changes the result
        ov.save_model(graph, f"{folder}/model.xml", compress_to_fp16=False)
        model.save_config(folder)
        with open(note, "w") as file:
            file.write(SOURCE)
    if open(note).read() != SOURCE:
        raise SystemExit(f"{folder} was converted from another model: name another folder with --ir")
    with open(f"{folder}/config.json") as file:
        return f"{folder}/model.xml", SimpleNamespace(**json.load(file))


parts = {part: converted(part) for part in ("vae", "unet")}
factor = factor_of(parts["vae"][1])
compiled = {}


def prepare(request):
    path, config = parts[request["part"]]
    given = [x.numpy() for x in inputs(request["part"], config, factor, request, torch.float32)]
    key = tuple(request.items())
    if key not in compiled:
        compiled.clear()  # only one at a time is in memory
        model = core.read_model(path)
        model.reshape(dict(zip(model.inputs, [x.shape for x in given])))
        options = {"INFERENCE_PRECISION_HINT": args.precision, "INFERENCE_NUM_THREADS": args.threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled[key] = core.compile_model(model, "CPU", options)
        used = compiled[key].get_property("INFERENCE_PRECISION_HINT").to_string()
        if used != args.precision:
            raise SystemExit(f"OpenVINO computes in {used} on this processor, not in {args.precision}")
    infer = compiled[key].create_infer_request()
    return lambda: infer.infer(given, share_inputs=True)


serve(f"OpenVINO {ov.__version__}, {args.precision}, {args.threads} threads", prepare)
