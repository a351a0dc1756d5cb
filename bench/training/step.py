"""One training step (forward and all gradients) of the miniature's UNet in PyTorch: milliseconds.

python step.py [steps]   needs torch 2.8 and diffusers 0.35.2
"""

import statistics
import sys
import time

import torch
from diffusers import UNet2DConditionModel

torch.set_num_threads(1)
torch.manual_seed(0)
unet = UNet2DConditionModel(
    sample_size=16,
    block_out_channels=(48, 96, 128),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    layers_per_block=1,
    transformer_layers_per_block=(1, 1, 1),
    attention_head_dim=(3, 3, 4),
    cross_attention_dim=192,
    use_linear_projection=True,
    norm_num_groups=16,
    addition_embed_type="text_time",
    addition_time_embed_dim=16,
    projection_class_embeddings_input_dim=224,
)
batch = 16
x, target = torch.randn(2, batch, 4, 16, 16)
context = torch.randn(batch, 32, 192)
added = {"text_embeds": torch.randn(batch, 128), "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]] * batch)}
t = torch.randint(0, 1000, (batch,))
times = []
for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 20):
    start = time.perf_counter()
    unet.zero_grad(set_to_none=True)
    loss = ((unet(x, t, context, added_cond_kwargs=added).sample - target) ** 2).mean()
    loss.backward()
    if i >= 3:
        times.append(1000 * (time.perf_counter() - start))
parameters = sum(p.numel() for p in unet.parameters())
print(f"torch {torch.__version__}: median {statistics.median(times):.0f} ms, best {min(times):.0f} ms, {parameters} parameters")
