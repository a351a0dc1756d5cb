"""Makes a small TAESD with random weights, as a diffusers folder and in the original layout, and records its decoding: fixtures/tiny-autoencoder/.

python reference/tiny_autoencoder.py      needs torch 2.8.0, diffusers 0.35.2
"""

import pathlib

import diffusers
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file

root = pathlib.Path(__file__).parent.parent / "fixtures" / "tiny-autoencoder"
torch.manual_seed(0)
torch.set_num_threads(1)

model = AutoencoderTiny(
    encoder_block_out_channels=(10, 10, 10, 10),
    decoder_block_out_channels=(10, 10, 10, 10),
    num_encoder_blocks=(1, 1, 1, 1),
    num_decoder_blocks=(3, 2, 2, 1),
)
for name, parameter in model.named_parameters():
    spread = (2 / parameter[0].numel()) ** 0.5 if parameter.dim() == 4 else 0.1
    torch.nn.init.normal_(parameter, std=spread * (0.3 if name.endswith("conv.4.weight") else 1))
with torch.no_grad():
    model.decoder.layers[-1].weight.mul_(0.05)
    model.decoder.layers[-1].bias.fill_(0.5)  # resembles a picture: most decoded values lie in -1..1
model.half().save_pretrained(root)

# the original counts its clamp as layer 0 of the decoder, and has a file for each half
layers = model.decoder.layers.state_dict()
torch.save({f"{int(n.split('.')[0]) + 1}.{n.split('.', 1)[1]}": v.clone() for n, v in layers.items()}, root / "taesd_decoder.pth")

model = AutoencoderTiny.from_pretrained(root, torch_dtype=torch.float32)
latents = 3 * torch.randn(2, 4, 5, 7)
with torch.no_grad():
    decoded = model.decode(latents).sample
maker = f"reference/tiny_autoencoder.py, torch {torch.__version__}, diffusers {diffusers.__version__}"
save_file({"latents": latents, "decoded": decoded}, root / "expected.safetensors", {"maker": maker})
