"""UNet evaluations and VAE decodes of diffusers on PyTorch, for run.ts. See there how to get it."""

from arguments import arguments

args = arguments(("--precision", {"choices": ["bf16", "f32"], "default": "bf16"}))

import diffusers
import torch

from peer import Forward, factor_of, inputs, load, serve

DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}

torch.set_num_threads(args.threads)
dtype = DTYPES[args.precision]
parts = {part: load(part, args, dtype) for part in ("unet", "vae")}
factor = factor_of(parts["vae"].config)


def prepare(request):
    part = request["part"]
    model = parts[part]
    forward, given = Forward(part, model), inputs(part, model.config, factor, request, dtype)

    def run():
        with torch.inference_mode():
            forward(*given)

    return run


serve(f"torch {torch.__version__}, diffusers {diffusers.__version__}, {args.precision}, {args.threads} threads", prepare)
