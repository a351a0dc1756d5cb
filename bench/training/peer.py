"""Training steps of the miniature's UNet in PyTorch: forward, gradients, clipping, AdamW, moving average.

python peer.py --processes N --threads N --batch N [--channels-last] [--compile]

Prints a JSON object that describes it; then, for each line of standard input, which is a number of updates, a JSON list of the seconds of
each update. Both are prefixed with "> ", since libraries print lines of their own. With several processes each has its own batch, and
gradients are averaged (DistributedDataParallel over gloo). Needs torch 2.8 and diffusers 0.35.2.
"""

import argparse
import json
import os
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("processes", "threads", "batch"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--channels-last", action="store_true")
parser.add_argument("--compile", action="store_true")
if __name__ == "__main__":
    parser.parse_args()  # before importing PyTorch, so that --help works without it

import torch
from diffusers import UNet2DConditionModel


def model(config):
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(config)
    return unet.train()


def train(rank, args, config, port, turns, results):
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
    results.put(None)
    while (updates := turns.get()) is not None:
        times = []
        for _ in range(updates):
            start = time.perf_counter()
            optimiser.zero_grad(set_to_none=args.processes == 1)
            loss = ((call(x, t, context, added_cond_kwargs=added).sample - target) ** 2).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            with torch.no_grad():
                torch._foreach_lerp_(average, parameters, 0.001)
            times.append(time.perf_counter() - start)
        results.put(times)
    if args.processes > 1:
        torch.distributed.destroy_process_group()


def main():
    args = parser.parse_args()
    config = json.loads(os.environ["UNET_CONFIG"])
    context = torch.multiprocessing.get_context("spawn")
    results = context.Queue()
    turns = [context.Queue() for _ in range(args.processes)]
    port = 20000 + os.getpid() % 20000
    workers = [context.Process(target=train, args=(i, args, config, port, turns[i], results)) for i in range(args.processes)]
    for worker in workers:
        worker.start()
    for _ in workers:
        results.get()
    parameters = sum(p.numel() for p in model(config).parameters())
    print(">", json.dumps({"parameters": parameters, "version": f"PyTorch {torch.__version__}"}), flush=True)
    for line in sys.stdin:
        for turn in turns:
            turn.put(int(line))
        # an update ends with the slowest process
        print(">", json.dumps([max(times) for times in zip(*(results.get() for _ in workers))]), flush=True)
    for turn in turns:
        turn.put(None)
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
