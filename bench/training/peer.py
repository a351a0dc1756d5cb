"""Training steps of the miniature's UNet in PyTorch: forward, gradients, clipping, AdamW, moving average.

python peer.py --processes N --threads N --batch N --steps N [--channels-last] [--compile]

With several processes each has its own batch, and gradients are averaged (DistributedDataParallel over gloo). Prints one JSON object:
samples a second over the median step. Needs torch 2.8 and diffusers 0.35.2.
"""

import argparse
import json
import os
import statistics
import time

import torch
from diffusers import UNet2DConditionModel

parser = argparse.ArgumentParser()
for name in ("processes", "threads", "batch", "steps"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--channels-last", action="store_true")
parser.add_argument("--compile", action="store_true")
WARM_UP = 5


def model(config):
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(config)
    return unet.train()


def train(rank, args, config, port, results):
    torch.set_num_threads(args.threads)
    unet = model(config)
    if args.channels_last:
        unet = unet.to(memory_format=torch.channels_last)
    parameters = list(unet.parameters())
    average = [p.detach().clone() for p in parameters]
    call = unet
    if args.processes > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        torch.distributed.init_process_group("gloo", rank=rank, world_size=args.processes)
        call = torch.nn.parallel.DistributedDataParallel(unet, gradient_as_bucket_view=True)
    if args.compile:
        call = torch.compile(call)
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01, betas=(0.9, 0.99), fused=True)
    torch.manual_seed(rank)
    channels, side = config["in_channels"], config["sample_size"]
    x, target = torch.randn(2, args.batch, channels, side, side)
    if args.channels_last:
        x, target = (v.contiguous(memory_format=torch.channels_last) for v in (x, target))
    context = torch.randn(args.batch, 48, config["cross_attention_dim"])
    pooled = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
    added = {"text_embeds": torch.randn(args.batch, pooled), "time_ids": torch.full((args.batch, 6), 64.0)}
    t = torch.randint(0, 1000, (args.batch,))
    times = []
    for step in range(args.steps + WARM_UP):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=args.processes == 1)
        loss = ((call(x, t, context, added_cond_kwargs=added).sample - target) ** 2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 0.001)
        if step >= WARM_UP:
            times.append(time.perf_counter() - start)
    if args.processes > 1:
        torch.distributed.destroy_process_group()
    results.put(statistics.median(times))


def main():
    args = parser.parse_args()
    config = json.loads(os.environ["UNET_CONFIG"])
    context = torch.multiprocessing.get_context("spawn")
    results = context.Queue()
    port = 20000 + os.getpid() % 20000
    workers = [context.Process(target=train, args=(i, args, config, port, results)) for i in range(args.processes)]
    for worker in workers:
        worker.start()
    seconds = max(results.get() for _ in workers)
    for worker in workers:
        worker.join()
    parameters = sum(p.numel() for p in model(config).parameters())
    samples = args.batch * args.processes / seconds
    print(json.dumps({"samplesPerSecond": samples, "parameters": parameters, "version": f"PyTorch {torch.__version__}"}))


if __name__ == "__main__":
    main()
