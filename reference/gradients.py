"""Records losses and gradients of tiny models in PyTorch: fixtures/gradients/*.safetensors.

python reference/gradients.py      needs torch 2.8.0, diffusers 0.35.2, transformers 4.57.6
"""

import pathlib

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel

root = pathlib.Path(__file__).parent.parent / "fixtures"
torch.manual_seed(0)
torch.set_num_threads(1)


def write(name, model, inputs, loss, paths):
    loss.backward()
    named = dict(model.named_parameters())
    tensors = {**inputs, "loss": loss.detach().reshape(1)}
    tensors |= {f"grad.{path}": named[path].grad for path in paths}
    tensors |= {f"grad.{key}": value.grad for key, value in inputs.items() if value.grad is not None}
    maker = f"reference/gradients.py, torch {torch.__version__}, diffusers {diffusers.__version__}, transformers {transformers.__version__}"
    target = root / "gradients"
    target.mkdir(exist_ok=True)
    save_file({k: v.detach().contiguous() for k, v in tensors.items()}, target / f"{name}.safetensors", {"maker": maker})


unet = UNet2DConditionModel.from_pretrained(root / "tiny-sdxl" / "unet", torch_dtype=torch.float32)
inputs = {
    "latents": torch.randn(2, 4, 8, 12, requires_grad=True),
    "target": torch.randn(2, 4, 8, 12),
    "timestep": torch.tensor([7.0, 812.0]),
    "context": torch.randn(2, 5, 40, requires_grad=True),
    "pooled": torch.randn(2, 32),
    "timeIds": torch.tensor([[64.0, 64, 0, 0, 64, 64], [80, 64, 3, 5, 64, 48]]),
}
added = {"text_embeds": inputs["pooled"], "time_ids": inputs["timeIds"]}
noise = unet(inputs["latents"], inputs["timestep"], inputs["context"], added_cond_kwargs=added).sample
block = "down_blocks.1.attentions.0.transformer_blocks.0"
write(
    "unet",
    unet,
    inputs,
    ((noise - inputs["target"]) ** 2).mean(),
    [
        "conv_in.weight",
        "conv_in.bias",
        "time_embedding.linear_1.weight",
        "add_embedding.linear_2.bias",
        "down_blocks.0.resnets.0.conv1.weight",
        "down_blocks.0.resnets.0.norm1.weight",
        "down_blocks.0.resnets.0.norm1.bias",
        "down_blocks.0.downsamplers.0.conv.weight",
        "down_blocks.1.resnets.0.conv_shortcut.weight",
        "down_blocks.1.resnets.0.time_emb_proj.weight",
        "down_blocks.1.attentions.0.norm.weight",
        "down_blocks.1.attentions.0.proj_in.weight",
        f"{block}.norm1.weight",
        f"{block}.norm3.bias",
        f"{block}.attn1.to_q.weight",
        f"{block}.attn1.to_v.weight",
        f"{block}.attn2.to_k.weight",
        f"{block}.attn2.to_out.0.weight",
        f"{block}.attn2.to_out.0.bias",
        f"{block}.ff.net.0.proj.weight",
        f"{block}.ff.net.2.bias",
        "mid_block.resnets.1.conv2.bias",
        "up_blocks.1.upsamplers.0.conv.weight",
        "up_blocks.2.resnets.0.conv1.weight",
        "conv_norm_out.weight",
        "conv_out.weight",
        "conv_out.bias",
    ],
)

# few tokens, so that the embedding table's gradient stays small; every kind of weight of the real model
text = CLIPTextModel(
    transformers.CLIPTextConfig(
        vocab_size=20,
        hidden_size=12,
        intermediate_size=20,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=9,
        hidden_act="quick_gelu",
        eos_token_id=19,
        bos_token_id=18,
        pad_token_id=19,
        attn_implementation="eager",
    )
).float()
for parameter in text.parameters():
    torch.nn.init.normal_(parameter, std=0.4)
ids = torch.tensor([[18, 3, 7, 3, 11, 19, 19], [18, 5, 5, 5, 1, 2, 19]])
states = text(ids, output_hidden_states=True).hidden_states
target = torch.randn(2, 7, 12)
layer = "text_model.encoder.layers.0"
weights = {f"weight.{key}": value.detach().clone() for key, value in text.named_parameters()}
write(
    "clip-text",
    text,
    {"ids": ids, "target": target, **weights},
    ((states[-2] - target) ** 2).mean(),
    [
        "text_model.embeddings.token_embedding.weight",
        "text_model.embeddings.position_embedding.weight",
        f"{layer}.self_attn.q_proj.weight",
        f"{layer}.self_attn.k_proj.weight",
        f"{layer}.self_attn.v_proj.bias",
        f"{layer}.self_attn.out_proj.weight",
        f"{layer}.layer_norm1.weight",
        f"{layer}.layer_norm2.bias",
        f"{layer}.mlp.fc1.weight",
        f"{layer}.mlp.fc2.weight",
    ],
)

vae = AutoencoderKL.from_pretrained(root / "tiny-sdxl" / "vae", torch_dtype=torch.float32)
image = torch.rand(2, 3, 32, 48) * 2 - 1
moments = vae.encode(image).latent_dist
picture = vae.decode(moments.mean).sample
loss = (picture - image).abs().mean() + 0.01 * (moments.mean**2 + moments.logvar.exp() - 1 - moments.logvar).mean()
write(
    "vae",
    vae,
    {"image": image},
    loss,
    [
        "encoder.conv_in.weight",
        "encoder.down_blocks.0.downsamplers.0.conv.weight",
        "encoder.mid_block.attentions.0.to_q.weight",
        "encoder.mid_block.attentions.0.group_norm.weight",
        "quant_conv.weight",
        "post_quant_conv.bias",
        "decoder.up_blocks.0.upsamplers.0.conv.weight",
        "decoder.conv_norm_out.bias",
        "decoder.conv_out.weight",
    ],
)
