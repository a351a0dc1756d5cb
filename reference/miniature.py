"""Loads the trained miniature with diffusers and the official PhotoMaker classes, and compares its pictures with ours.

    PHOTOMAKER_REF=<checkout of TencentARC/PhotoMaker> python reference/miniature.py <miniature folder> <ID images...>

Needs torch 2.8 (CPU), diffusers 0.35.2, transformers 4.56.2, peft 0.21.2, einops, accelerate; and `npm run build` first.
The official code runs unchanged except where it hard-codes the widths of the full-size model, two tokens per photo, or an argument that
diffusers no longer takes. InsightFace, which V1 does not use, is not needed.
"""

import json
import os
import subprocess
import sys
import tempfile
import types

import numpy as np
import torch
from PIL import Image
from torch import nn
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

PROMPTS = [
    ("a photo of a {word} img wearing a red shirt at the beach", None, 3, 0),
    ("a comic of a smiling {word} img in a blue suit and a crown in the city", "a sketch", 5, 4),
]


def official(folder):
    face = types.ModuleType("insightface")
    face.__path__ = []
    face.app = types.ModuleType("insightface.app")
    face.app.FaceAnalysis = object
    face.data = types.ModuleType("insightface.data")
    face.data.get_image = lambda *_, **__: None
    sys.modules.update({"insightface": face, "insightface.app": face.app, "insightface.data": face.data})
    sys.path.insert(0, os.environ["PHOTOMAKER_REF"])
    from photomaker import model, pipeline

    vision = json.load(open(f"{folder}/photomaker-config.json"))["miniature"]["vision"]
    widths = [json.load(open(f"{folder}/{name}/config.json"))["hidden_size"] for name in ("text_encoder", "text_encoder_2")]

    class IdEncoder(model.PhotoMakerIDEncoder):
        def __init__(self):
            CLIPVisionModelWithProjection.__init__(self, CLIPVisionConfig(**vision, projection_dim=widths[0]))
            self.visual_projection_2 = nn.Linear(vision["hidden_size"], widths[1], bias=False)
            self.fuse_module = model.FuseModule(sum(widths))

    pipeline.PhotoMakerIDEncoder = IdEncoder
    find = pipeline._get_model_file
    pipeline._get_model_file = lambda *args, resume_download=None, **rest: find(*args, **rest)
    pipe = pipeline.PhotoMakerStableDiffusionXLPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipe.load_photomaker_adapter(
        folder, subfolder="", weight_name="photomaker-v1.safetensors", trigger_word="img", pm_version="v1"
    )
    pipe.num_tokens = 1
    side = vision["image_size"]
    pipe.id_image_processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    pipe.id_encoder.to(torch.float32)
    pipe.fuse_lora()
    pipe.set_progress_bar_config(disable=True)
    return pipe


def ours(folder, photos, prompt, negative, steps, guidance, merge, seed):
    with tempfile.TemporaryDirectory() as out:
        command = ["node", "bin/photomaker.js", "generate", "--model", folder, "--adapter", f"{folder}/photomaker-v1.safetensors"]
        command += ["--id-image", *photos, "--prompt", prompt, "--steps", str(steps), "--guidance-scale", str(guidance)]
        command += ["--start-merge-step", str(merge), "--seed", str(seed), "--precision", "f32", "--out", out]
        command += [] if negative is None else ["--negative-prompt", negative]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return np.asarray(Image.open(f"{out}/image_0.png").convert("RGB")).astype(float)


def main():
    folder, *photos = sys.argv[1:]
    pipe = official(folder)
    side = pipe.unet.config.sample_size * pipe.vae_scale_factor
    worst = 0
    for word in ("man", "girl"):
        for text, negative, guidance, merge in PROMPTS:
            prompt, seed, steps = text.format(word=word), 11, 20
            picture = pipe(
                prompt=prompt,
                negative_prompt=negative,
                input_id_images=[Image.open(p).convert("RGB") for p in photos],
                num_inference_steps=steps,
                start_merge_step=merge,
                guidance_scale=guidance,
                height=side,
                width=side,
                generator=torch.Generator("cpu").manual_seed(seed),
            ).images[0]
            reference = np.asarray(picture).astype(float)
            difference = np.abs(reference - ours(folder, photos, prompt, negative, steps, guidance, merge, seed))
            worst = max(worst, difference.mean())
            print(f"{prompt!r}: mean {difference.mean():.4f}, max {difference.max():.0f} of 255; the picture's standard deviation {reference.std():.0f}")
    print(f"worst mean difference {worst:.4f} of 255")
    sys.exit(0 if worst <= 0.1 else 1)


main()
