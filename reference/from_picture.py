"""Pictures that fixtures/tiny-sdxl draws over others, by diffusers' pipelines: fixtures/from-picture.

python reference/from_picture.py      needs torch 2.8.0, diffusers 0.35.2, transformers 4.56.2, scipy

Image-to-image and inpainting with each sampler, from the seed to the final latents; inpainting with a UNet of 9 channels too, whose first
convolution is written beside (the first 4 channels are those of tiny-sdxl). PNDM is left out: see reference/img2img_samplers.py.
`init.png` and `mask.png` are 64x64; `wide.png` is of another shape and size than what is drawn from it.
"""

import json
import pathlib

import diffusers
import torch
from diffusers import AutoencoderKL, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline, UNet2DConditionModel
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from clip_tokenizer import tokenizer_of

root = pathlib.Path(__file__).parent.parent
model = root / "fixtures" / "tiny-sdxl"
out = root / "fixtures" / "from-picture"
out.mkdir(exist_ok=True)
torch.set_num_threads(1)


photo = Image.open(root / "fixtures" / "photos" / "person_1.png").convert("RGB")
init = photo.resize((64, 64), Image.LANCZOS)
wide = photo.resize((131, 69), Image.LANCZOS)
mask = Image.new("L", (64, 64), 0)
ImageDraw.Draw(mask).ellipse((13, 9, 50, 41), fill=255)
for name, picture in {"init": init, "wide": wide, "mask": mask}.items():
    picture.save(out / f"{name}.png")

SDXL = json.loads((model / "scheduler" / "scheduler_config.json").read_text())
KARRAS = {"use_karras_sigmas": True}
SDE = {"algorithm_type": "sde-dpmsolver++"}
SAMPLERS = {
    "euler": ("EulerDiscreteScheduler", {}, 0.0),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}, 0.0),
    "heun": ("HeunDiscreteScheduler", {}, 0.0),
    "ddim": ("DDIMScheduler", {}, 0.5),
    "ddpm": ("DDPMScheduler", {}, 0.0),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}, 0.0),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", KARRAS, 0.0),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", SDE, 0.0),
    "dpmpp_2m_sde_karras": ("DPMSolverMultistepScheduler", SDE | KARRAS, 0.0),
    "unipc": ("UniPCMultistepScheduler", {}, 0.0),
    "lcm": ("LCMScheduler", {}, 0.0),
    "tcd": ("TCDScheduler", {}, 0.5),
}
unet = UNet2DConditionModel.from_pretrained(model / "unet")
filling = UNet2DConditionModel.from_pretrained(model / "unet")
first = filling.conv_in
more = torch.randn(first.out_channels, 5, 3, 3, generator=torch.Generator().manual_seed(9)) * first.weight.std() * 0.5
conv = torch.nn.Conv2d(9, first.out_channels, 3, padding=1)
conv.weight.data = torch.cat([first.weight.data, more], 1)
conv.bias.data = first.bias.data
filling.conv_in = conv
filling.register_to_config(in_channels=9)

cases = []
for sampler in SAMPLERS:
    cases.append({"kind": "img2img", "sampler": sampler, "strength": 0.6})
    cases.append({"kind": "inpaint", "sampler": sampler, "strength": 0.75})
cases += [
    {"kind": "img2img", "sampler": "euler", "strength": 1.0},
    {"kind": "img2img", "sampler": "euler_a", "strength": 0.5, "images": 2},
    {"kind": "img2img", "sampler": "euler", "strength": 0.5, "init": "wide"},
    {"kind": "inpaint", "sampler": "euler", "strength": 1.0},
    {"kind": "inpaint", "sampler": "euler_a", "strength": 0.5, "images": 2},
    {"kind": "fill", "sampler": "euler", "strength": 0.99},
    {"kind": "fill", "sampler": "euler", "strength": 1.0},
    {"kind": "fill", "sampler": "euler_a", "strength": 0.6},
    {"kind": "fill", "sampler": "ddim", "strength": 1.0, "images": 2},
]
ARGUMENTS = {"prompt": "an old man in a garden", "negative_prompt": "blurry", "num_inference_steps": 8, "guidance_scale": 4.0}
SEED = 11
parts = {
    "vae": AutoencoderKL.from_pretrained(model / "vae"),
    "text_encoder": CLIPTextModel.from_pretrained(model / "text_encoder"),
    "text_encoder_2": CLIPTextModelWithProjection.from_pretrained(model / "text_encoder_2"),
    "tokenizer": tokenizer_of("<|endoftext|>", model_max_length=77),
    "tokenizer_2": tokenizer_of("!", model_max_length=77),
}
tensors = {"conv_in.weight": conv.weight.data}
for case in cases:
    cls, changes, eta = SAMPLERS[case["sampler"]]
    scheduler = getattr(diffusers, cls).from_config(SDXL, **changes)
    masked = case["kind"] != "img2img"
    kind = StableDiffusionXLInpaintPipeline if masked else StableDiffusionXLImg2ImgPipeline
    pipeline = kind(**parts, unet=filling if case["kind"] == "fill" else unet, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    extra = {"mask_image": mask, "height": 64, "width": 64} if masked else {}
    case |= {"eta": eta, "key": ".".join(str(v) for v in case.values())}
    tensors[case["key"]] = pipeline(
        **ARGUMENTS,
        **extra,
        image=wide if case.get("init") == "wide" else init,
        strength=case["strength"],
        eta=eta,
        num_images_per_prompt=case.get("images", 1),
        generator=torch.Generator().manual_seed(SEED),
        output_type="latent",
    ).images
    latents = tensors[case["key"]]
    print(case["key"], tuple(latents.shape), latents.std().item())

maker = f"reference/from_picture.py, torch {torch.__version__}, diffusers {diffusers.__version__}"
save_file({k: v.detach().contiguous() for k, v in tensors.items()}, out / "latents.safetensors", {"maker": maker})
(out / "cases.json").write_text(json.dumps({"maker": maker, "seed": SEED, "arguments": ARGUMENTS, "cases": cases}, indent=1) + "\n")
