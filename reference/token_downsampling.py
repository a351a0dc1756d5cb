"""Records the tiny SDXL UNet's output with downsampled keys and values (ToDo, arXiv 2402.13573): fixtures/token-downsampling/.

python reference/token_downsampling.py      needs torch 2.8.0, diffusers 0.35.2
"""

import pathlib

import diffusers
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

fixtures = pathlib.Path(__file__).parent.parent / "fixtures"
torch.manual_seed(0)
torch.set_num_threads(1)

unet = UNet2DConditionModel.from_pretrained(fixtures / "tiny-sdxl", subfolder="unet", torch_dtype=torch.float32).eval()
HEIGHT, WIDTH = 24, 36  # of the latents; the largest level with attention has half that size
x = torch.randn(2, unet.config.in_channels, HEIGHT, WIDTH)
context = torch.randn(2, 77, unet.config.cross_attention_dim)
pooled = torch.randn(2, unet.config.projection_class_embeddings_input_dim - 6 * unet.config.addition_time_embed_dim)
time_ids = torch.tensor([[192.0, 288, 0, 0, 192, 288]] * 2)

factor = 1


def nearest(layer, given):
    rows = given[0]
    if rows.shape[1] != HEIGHT // 2 * (WIDTH // 2):
        return None
    pixels = rows.transpose(1, 2).unflatten(2, (HEIGHT // 2, WIDTH // 2))
    return F.interpolate(pixels, scale_factor=1 / factor, mode="nearest").flatten(2).transpose(1, 2)


for name, layer in unet.named_modules():
    if name.endswith(("attn1.to_k", "attn1.to_v")):
        layer.register_forward_pre_hook(nearest)

expected = {}
for factor in (1, 2, 3):
    with torch.no_grad():
        added = {"text_embeds": pooled, "time_ids": time_ids}
        expected[f"noise_{factor}"] = unet(x, torch.tensor(500.0), context, added_cond_kwargs=added).sample
        print(factor, (expected[f"noise_{factor}"] - expected["noise_1"]).abs().max().item())

maker = f"reference/token_downsampling.py, torch {torch.__version__}, diffusers {diffusers.__version__}"
inputs = {"latents": x, "context": context, "pooled": pooled, "time_ids": time_ids}
(fixtures / "token-downsampling").mkdir(exist_ok=True)
save_file({**inputs, **expected}, fixtures / "token-downsampling" / "expected.safetensors", {"maker": maker})
