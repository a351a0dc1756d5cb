"""Pictures of 8x8 pixels with the settings that other programs write into JPEG, WebP and AVIF: fixtures/pictures/.

python reference/picture_settings.py                needs pillow 12 or newer, piexif 1.1.3
python reference/picture_settings.py read FILE …    prints what A1111 reads from pictures

A1111: modules/images.py save_image_with_geninfo and read_info_from_image. Fooocus: modules/private_logger.py and meta_parser.py get_exif. ComfyUI:
comfy_extras/nodes_images.py SaveAnimatedWEBP. stable-diffusion.cpp: thirdparty/stb_image_write.h, whose JPEG has the text as a comment.
"""

import json
import pathlib
import sys

import piexif
import piexif.helper
from PIL import Image

INFOTEXT = """a café in 東京, (neon:1.2)
Negative prompt: ugly, "blurry"
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 9007199254740993, Size: 64x72, Model: other"""
FOOOCUS = {"prompt": "a café", "negative_prompt": "ugly", "steps": 30, "guidance_scale": 4.0, "seed": "12345", "resolution": "(64, 72)",
           "sampler": "euler", "scheduler": "normal", "base_model": "juggernautXL", "loras": [], "metadata_scheme": "fooocus"}
COMFY = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 7, "steps": 12, "cfg": 5.5, "sampler_name": "euler", "scheduler": "normal",
                                               "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0], "model": ["4", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sdxl.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 72, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a café", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly", "clip": ["4", 1]}},
}


def read(path):
    with Image.open(path) as image:
        exif = piexif.load(image.info["exif"])
        return piexif.helper.UserComment.load(exif["Exif"][piexif.ExifIFD.UserComment])


def write(out):
    out.mkdir(exist_ok=True)
    image = Image.new("RGB", (8, 8), (90, 120, 60))
    a1111 = piexif.dump({"Exif": {piexif.ExifIFD.UserComment: piexif.helper.UserComment.dump(INFOTEXT, encoding="unicode")}})
    for end in ("jpg", "webp", "avif"):
        image.save(out / f"a1111.{end}", exif=a1111)
    fooocus = image.getexif()
    fooocus[0x9286] = json.dumps(FOOOCUS)
    fooocus[0x0131] = "Fooocus v2.5.5"
    fooocus[0x927C] = "fooocus"
    image.save(out / "fooocus.jpg", exif=fooocus)
    comfy = Image.new("RGB", (8, 8)).getexif()
    comfy[0x0110] = f"prompt:{json.dumps(COMFY)}"
    comfy[0x010F] = f"workflow:{json.dumps({'nodes': []})}"
    image.save(out / "comfyui.webp", exif=comfy)
    image.save(out / "stable-diffusion-cpp.jpg", comment=b"parameters\0" + INFOTEXT.encode())


if sys.argv[1:2] == ["read"]:
    for path in sys.argv[2:]:
        print(read(path))
else:
    write(pathlib.Path(__file__).parent.parent / "fixtures" / "pictures")
