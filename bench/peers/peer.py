"""What the Python peers share besides their arguments: loading a checkpoint, inputs, and the protocol of run.ts."""

import json
import os
import resource
import sys
import time

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

MODELS = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}


def load(part, args, dtype):
    """The UNet or the VAE of the checkpoint."""
    kind = MODELS[part]
    if os.path.isdir(args.model):
        model = kind.from_pretrained(args.model, subfolder=part, torch_dtype=dtype)
    else:
        config = {} if args.config is None else {"config": args.config, "subfolder": part}
        model = kind.from_single_file(args.model, torch_dtype=dtype, **config)
    return model.eval().requires_grad_(False)


def inputs(part, config, factor, request, dtype):
    """Random inputs of one evaluation, in the order of `forward`; 77 tokens of text."""
    torch.manual_seed(0)
    batch, height, width = request["batch"], request["height"] // factor, request["width"] // factor
    if part == "vae":
        return (torch.randn(batch, config.latent_channels, height, width, dtype=dtype),)
    pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    return (
        torch.randn(batch, config.in_channels, height, width, dtype=dtype),
        torch.tensor(500.0),
        torch.randn(batch, 77, config.cross_attention_dim, dtype=dtype),
        torch.randn(batch, pooled, dtype=dtype),
        torch.tensor([[request["height"], request["width"], 0, 0, request["height"], request["width"]]] * batch, dtype=dtype),
    )


class Forward(torch.nn.Module):
    """A part with plain positional inputs and one output."""

    def __init__(self, part, model):
        super().__init__()
        self.part, self.model = part, model

    def forward(self, x, timestep=None, context=None, pooled=None, time_ids=None):
        if self.part == "vae":
            return self.model.decode(x, return_dict=False)[0]
        added = {"text_embeds": pooled, "time_ids": time_ids}
        return self.model(x, timestep, context, added_cond_kwargs=added, return_dict=False)[0]


def factor_of(config):
    """Pixels per latent pixel of this VAE, along a side."""
    return 2 ** (len(config.block_out_channels) - 1)


def serve(name, prepare):
    """
    Answers requests, one JSON object a line, with seconds and the peak memory in bytes.
    `prepare(request)` returns the function to time.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keeps output of libraries out of the answers
    print(json.dumps({"ready": name}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        run = prepare(request)
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        print(json.dumps({"seconds": seconds, "peakMemory": peak}), file=answers, flush=True)
