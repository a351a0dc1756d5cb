"""Records updates of torch.optim.AdamW with clipped gradients and two groups: fixtures/adamw/adamw.safetensors.

python reference/adamw.py      needs torch 2.8.0, safetensors
"""

import pathlib

import torch
from safetensors.torch import save_file

STEPS = 12
torch.manual_seed(0)
first = torch.nn.Parameter(torch.randn(40))
second = torch.nn.Parameter(torch.randn(24) * 0.1)
tensors = {"params": torch.cat([first, second]).detach().clone()}
optimiser = torch.optim.AdamW(
    [{"params": [first], "weight_decay": 0.1}, {"params": [second], "weight_decay": 0.0}], betas=(0.9, 0.99), eps=1e-8
)
# some gradients far above the clipping norm, some below it, some entries almost zero
grads = torch.randn(STEPS, 64) * torch.logspace(-2, 1, STEPS)[:, None] * torch.logspace(-4, 0, 64)[None, :]
rates = torch.linspace(1e-2, 1e-3, STEPS)
norms = []
for step in range(STEPS):
    optimiser.param_groups[0]["lr"] = rates[step].item()
    optimiser.param_groups[1]["lr"] = rates[step].item() * 10
    first.grad, second.grad = grads[step, :40].clone(), grads[step, 40:].clone()
    norms.append(torch.nn.utils.clip_grad_norm_([first, second], 1.0))
    optimiser.step()
    tensors[f"params.{step + 1}"] = torch.cat([first, second]).detach().clone()
for key, name in (("exp_avg", "m"), ("exp_avg_sq", "v")):
    tensors[name] = torch.cat([optimiser.state[p][key] for p in (first, second)])
tensors |= {"grads": grads, "rates": rates, "norms": torch.stack(norms)}
target = pathlib.Path(__file__).parent.parent / "fixtures" / "adamw"
target.mkdir(exist_ok=True)
save_file(tensors, target / "adamw.safetensors", {"maker": f"reference/adamw.py, torch {torch.__version__}"})
