"""Pictures of fixtures/tiny-sdxl with other predictions, by diffusers' StableDiffusionXLPipeline: fixtures/edm/pictures.{json,safetensors}.

python reference/edm_pictures.py      needs torch 2.8.0, diffusers 0.35.2, transformers 4.56.2

CosXL's scheduler as diffusers' documentation gives it; Playground 2.5's scheduler and VAE config as they are published; velocity with zero
terminal SNR as SDXL's scheduler gives it. The weights know of none of these: what is compared is the sampling, not the picture.
"""

import json
import pathlib

import diffusers
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from clip_tokenizer import tokenizer_of

root = pathlib.Path(__file__).parent.parent
model = root / "fixtures" / "tiny-sdxl"
out = root / "fixtures" / "edm"
out.mkdir(exist_ok=True)
torch.set_num_threads(1)


SDXL = json.loads((model / "scheduler" / "scheduler_config.json").read_text())
COSXL = {"sigma_min": 0.002, "sigma_max": 120.0, "sigma_data": 1.0, "prediction_type": "v_prediction"}
PLAYGROUND_VAE = {
    "latents_mean": [-1.6574, 1.886, -1.383, 2.5155],
    "latents_std": [8.4927, 5.9022, 6.5498, 5.2299],
    "scaling_factor": 0.5,
}
V_ZERO_SNR = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
CASES = {
    "cosxl": ("EDMEulerScheduler", COSXL | {"sigma_schedule": "exponential"}, {}),
    "playground": ("EDMDPMSolverMultistepScheduler", {}, PLAYGROUND_VAE),
    "v-zero-snr": ("EulerDiscreteScheduler", SDXL | V_ZERO_SNR, {}),
}
ARGUMENTS = {
    "prompt": "a lighthouse on a cliff in the evening",
    "negative_prompt": "blurry",
    "num_inference_steps": 8,
    "guidance_scale": 4.0,
    "guidance_rescale": 0.7,
    "height": 64,
    "width": 64,
}

tensors = {}
for name, (cls, config, vae) in CASES.items():
    pipeline = StableDiffusionXLPipeline(
        vae=AutoencoderKL.from_pretrained(model / "vae", **vae),
        text_encoder=CLIPTextModel.from_pretrained(model / "text_encoder"),
        text_encoder_2=CLIPTextModelWithProjection.from_pretrained(model / "text_encoder_2"),
        tokenizer=tokenizer_of("<|endoftext|>", model_max_length=77),
        tokenizer_2=tokenizer_of("!", model_max_length=77),
        unet=UNet2DConditionModel.from_pretrained(model / "unet"),
        scheduler=getattr(diffusers, cls).from_config(config),
    )
    pipeline.set_progress_bar_config(disable=True)
    for output in ("latent", "np"):
        made = pipeline(**ARGUMENTS, generator=torch.Generator().manual_seed(7), output_type=output).images
        if output == "latent":
            tensors[f"{name}.latents"] = made
        else:
            tensors[f"{name}.picture"] = torch.from_numpy((made[0] * 255).round().astype("uint8"))
    latents, picture = tensors[f"{name}.latents"], tensors[f"{name}.picture"]
    print(name, "latents", latents.std().item(), "picture", picture.float().mean().item(), picture.float().std().item())

maker = f"reference/edm_pictures.py, torch {torch.__version__}, diffusers {diffusers.__version__}"
save_file({k: v.contiguous() for k, v in tensors.items()}, out / "pictures.safetensors", {"maker": maker})
(out / "pictures.json").write_text(json.dumps({"maker": maker, "seed": 7, "arguments": ARGUMENTS}, indent=1) + "\n")
