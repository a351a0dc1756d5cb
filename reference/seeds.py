"""Random numbers of torch 2.8's CPU generator for seeds beyond 2^53: fixtures/rng/large_seeds.json."""
import json
import sys

import torch

SEEDS = [2**53 + 1, 2**63 - 1, 2**63, 12345678901234567890, 2**64 - 1]

cases = []
for seed in SEEDS:
    generator = torch.Generator("cpu").manual_seed(seed)
    draws = [torch.randn(shape, generator=generator) for shape in ([5], [1, 4, 4, 4])]
    cases.append({"seed": str(seed), "calls": [{"shape": list(d.shape), "values": d.flatten().tolist()} for d in draws]})
with open(sys.argv[1], "w") as file:
    json.dump({"torch": torch.__version__, "cases": cases}, file)
    file.write("\n")
