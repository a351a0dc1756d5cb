"""Records outputs of SDXL's smaller relatives in their exact structure, with tiny widths: fixtures/relatives/.

python reference/sdxl_relatives.py      needs torch 2.8.0, diffusers 0.35.2, transformers, Pillow

SSD-1B and Segmind-Vega (Gupta et al. 2024, arXiv 2401.02677), KOALA-700M and KOALA-1B (Lee et al. 2023, arXiv 2312.04005). Weights follow from a
formula, so that no file holds them. Names of the original layout are checked with diffusers' own conversion.
"""

import json
import pathlib

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from clip_tokenizer import tokenizer_of

root = pathlib.Path(__file__).parent.parent
fixtures = root / "fixtures"
tiny = fixtures / "tiny-sdxl"
torch.set_num_threads(1)

COMMON = {
    "sample_size": 128,
    "block_out_channels": [64, 128, 64],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "attention_head_dim": [1, 2, 1],
    "cross_attention_dim": 40,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 32 + 6 * 256,
}
RELATIVES = {
    "ssd-1b": {
        "mid_block_type": "UNetMidBlock2D",
        "transformer_layers_per_block": [1, [2, 2], [4, 4]],
        "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
    },
    "segmind-vega": {
        "mid_block_type": "UNetMidBlock2D",
        "transformer_layers_per_block": [1, [1, 1], [2, 2]],
        "reverse_transformer_layers_per_block": [[2, 2, 2], [1, 1, 1], 1],
    },
    "koala-700m": {"mid_block_type": None, "layers_per_block": 1, "transformer_layers_per_block": [0, 2, 5]},
    "koala-1b": {"layers_per_block": 1, "transformer_layers_per_block": [0, 2, 6]},
}


def fill(model):
    """Weights by a formula of the place of the name among all, in their order, and of the number's place."""
    weights = {}
    for k, (name, tensor) in enumerate(sorted(model.state_dict().items())):
        x = np.sin(np.arange(tensor.numel(), dtype=np.float64) + 1 + 1000 * k) * 43758.5453
        v = (x - np.floor(x) - 0.5).reshape(tensor.shape)
        if tensor.ndim > 1:
            v *= 2 / np.sqrt(tensor.numel() / tensor.shape[0])
        else:
            v = 1 + 0.2 * v if name.endswith("weight") else 0.1 * v
        weights[name] = torch.from_numpy(v.astype(np.float32))
    model.load_state_dict(weights)


RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}


def original_names(unet):
    """Paths in the original layout (Stability-AI/generative-models openaimodel.py), and in diffusers', of all modules."""
    pairs = dict(ENDS)

    def block(at, resnet, attention):
        pairs.update({f"{at}.0.{a}": f"{resnet}.{b}" for a, b in RESNET.items()})
        if attention:
            pairs[f"{at}.1"] = attention

    layers = unet.config.layers_per_block
    i = 1
    for level, down in enumerate(unet.down_blocks):
        attention = hasattr(down, "attentions")
        for j in range(layers):
            block(f"input_blocks.{i}", f"down_blocks.{level}.resnets.{j}", attention and f"down_blocks.{level}.attentions.{j}")
            i += 1
        if down.downsamplers:
            pairs[f"input_blocks.{i}.0.op"] = f"down_blocks.{level}.downsamplers.0.conv"
            i += 1
    if unet.mid_block is not None:
        if getattr(unet.mid_block, "attentions", None) and unet.mid_block.attentions[0] is not None:
            pairs["middle_block.1"] = "mid_block.attentions.0"
        for j in range(len(unet.mid_block.resnets)):
            pairs.update({f"middle_block.{2 * j}.{a}": f"mid_block.resnets.{j}.{b}" for a, b in RESNET.items()})
    i = 0
    for level, up in enumerate(unet.up_blocks):
        attention = hasattr(up, "attentions")
        for j in range(layers + 1):
            block(f"output_blocks.{i}", f"up_blocks.{level}.resnets.{j}", attention and f"up_blocks.{level}.attentions.{j}")
            i += 1
        if up.upsamplers:
            pairs[f"output_blocks.{i - 1}.{2 if attention else 1}.conv"] = f"up_blocks.{level}.upsamplers.0.conv"
    return pairs


def check_names(unet, pairs):
    """Converts names back by diffusers, and drops paths that this UNet does not have."""
    backwards = {b: a for a, b in pairs.items()}
    used = set()

    def original(name):
        path = max((b for b in backwards if name.startswith(b + ".")), key=len)
        used.add(backwards[path])
        return backwards[path] + name[len(path) :]

    state = unet.state_dict()
    there = {original(name): tensor for name, tensor in state.items()}
    again = convert_ldm_unet_checkpoint({f"model.diffusion_model.{k}": v for k, v in there.items()}, {**unet.config, "class_embed_type": None})
    assert set(again) == set(state), set(again) ^ set(state)
    assert all(again[name] is there[original(name)] for name in state)
    return {a: b for a, b in pairs.items() if a in used}


f32 = {"torch_dtype": torch.float32}
others = {
    "vae": AutoencoderKL.from_pretrained(tiny / "vae", **f32).eval(),
    "text_encoder": CLIPTextModel.from_pretrained(tiny / "text_encoder", **f32).eval(),
    "text_encoder_2": CLIPTextModelWithProjection.from_pretrained(tiny / "text_encoder_2", **f32).eval(),
    "tokenizer": tokenizer_of("<|endoftext|>", model_max_length=77),
    "tokenizer_2": tokenizer_of("!", model_max_length=77),
    "scheduler": EulerDiscreteScheduler.from_pretrained(tiny / "scheduler"),
}
REQUEST = {"prompt": "a lighthouse", "width": 64, "height": 64, "num_inference_steps": 3, "guidance_scale": 4.0}

folder = fixtures / "relatives"
folder.mkdir(exist_ok=True)
maker = f"reference/sdxl_relatives.py, torch {torch.__version__}, diffusers {diffusers.__version__}"
torch.manual_seed(0)
given = {
    "latents": torch.randn(2, 4, 8, 10),
    "context": torch.randn(2, 77, 40),
    "pooled": torch.randn(2, 32),
    "time_ids": torch.tensor([[64.0, 80, 0, 0, 64, 80]] * 2),
}
tensors = dict(given)
described = {}
for name, config in RELATIVES.items():
    unet = UNet2DConditionModel(**COMMON, **config).eval()
    fill(unet)
    with torch.no_grad():
        added = {"text_embeds": given["pooled"], "time_ids": given["time_ids"]}
        tensors[f"{name}.noise"] = unet(given["latents"], torch.tensor(500.0), given["context"], added_cond_kwargs=added).sample
        pipe = StableDiffusionXLPipeline(unet=unet, **others, add_watermarker=False)
        pipe.set_progress_bar_config(disable=True)
        final = pipe(**REQUEST, generator=torch.Generator().manual_seed(1), output_type="latent").images
        picture = pipe(**REQUEST, generator=torch.Generator().manual_seed(1), output_type="np").images
    tensors[f"{name}.final"] = final
    tensors[f"{name}.picture"] = torch.from_numpy((picture[0] * 255).round().astype(np.uint8))
    described[name] = {
        "config": {**COMMON, **config},
        "parameters": sum(p.numel() for p in unet.parameters()),
        "tensors": len(unet.state_dict()),
        "original": check_names(unet, original_names(unet)),
    }
    print(name, described[name]["parameters"], tensors[f"{name}.noise"].std().item(), final.std().item(), picture.std())
assert all(t.isfinite().all() for t in tensors.values())
save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "relatives.safetensors", {"maker": maker})
(folder / "relatives.json").write_text(json.dumps({"maker": maker, "request": REQUEST, "seed": 1, "models": described}, indent=1) + "\n")
