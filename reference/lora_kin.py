"""What LoRA's kin makes of weights of the tiny SDXL: fixtures/lora/kin/, merged by LyCORIS and PEFT.

python reference/lora_kin.py      needs torch 2.8.0, lycoris-lora 4.1.3, einops, toml, peft 0.21.2, diffusers 0.35.2, safetensors
"""

import importlib
import json
import pathlib

import torch
from diffusers import UNet2DConditionModel
from lycoris.modules.boft import ButterflyOFTModule
from lycoris.modules.diag_oft import DiagOFTModule
from lycoris.modules.full import FullModule
from lycoris.modules.glora import GLoRAModule
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from lycoris.modules.norms import NormModule
from peft import BOFTConfig, IA3Config, LoHaConfig, LoKrConfig, LoraConfig, OFTConfig, inject_adapter_in_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

fixtures = pathlib.Path(__file__).parent.parent / "fixtures"
out = fixtures / "lora" / "kin"
out.mkdir(exist_ok=True)
torch.manual_seed(0)
torch.set_num_threads(1)

load = lambda: UNet2DConditionModel.from_pretrained(fixtures / "tiny-sdxl", subfolder="unet", torch_dtype=torch.float32).eval()
unet = load()
modules = dict(unet.named_modules())
BLOCK = "down_blocks.1.attentions.0.transformer_blocks.0"
QUERY, KEY, NORM, CONV = f"{BLOCK}.attn1.to_q", f"{BLOCK}.attn2.to_k", f"{BLOCK}.norm1", "down_blocks.0.resnets.0.conv1"
LINEAR, ALL = [KEY], [KEY, CONV]
STRENGTHS = [1.0, 0.7]
expected, index = {}, []


def shake(module):
    """Parameters that begin as zeros or ones would change nothing."""
    for name, parameter in module.named_parameters():
        with torch.no_grad():
            noise = torch.randn_like(parameter) * 0.3
            parameter.copy_(parameter * (1 + noise) if "dora" in name or name == "rescale" else parameter + noise)


@torch.no_grad()
def lycoris(kind, Module, paths, dim=4, alpha=2.0, **options):
    """Writes a file of a kind, and what its makers merge it into."""
    tensors = {}
    for path in paths:
        name = f"lora_unet_{path.replace('.', '_')}"
        module = Module(name, modules[path], 1.0, *([] if Module is NormModule else [dim, alpha]), **options)
        shake(module)
        own = module.custom_state_dict() or module.state_dict()
        if Module is FullModule:  # what it writes once it has taken the place of the layer
            own = dict(zip(["diff", "diff_b"], (part for part in module.get_diff_weight(1.0) if part is not None)))
        own = {key: value for key, value in own.items() if key != "scalar"}
        tensors |= {f"{name}.{key}": value.detach().clone().contiguous() for key, value in own.items()}
        weight = modules[path].weight
        for strength in STRENGTHS:
            bias = None
            if Module in (LohaModule, LokrModule):  # as forward() does: get_merged_weight() multiplies by alpha / rank twice
                whole = weight + module.get_weight(weight.shape) * module.scalar
            else:
                whole, bias = module.get_merged_weight(1.0 if "dora_scale" in own else strength, shape=weight.shape)
            if Module in (LohaModule, LokrModule) and "dora_scale" in own:
                whole = module.apply_weight_decompose(whole, 1.0)
            # strengths of DoRA lie on the way from the weight to the merged one
            merged = weight + strength * (whole - weight) if "dora_scale" in own or Module in (LohaModule, LokrModule) else whole
            expected[f"{kind}/{strength}/{path}.weight"] = merged.reshape(weight.shape).clone().contiguous()
            if bias is not None:
                expected[f"{kind}/{strength}/{path}.bias"] = bias.clone().contiguous()
    save_file(tensors, out / f"{kind}.safetensors")
    index.append({"kind": kind, "layers": len(paths), "strengths": STRENGTHS})


lycoris("locon_tucker", LoConModule, [CONV], use_tucker=True)
lycoris("loha", LohaModule, ALL)
lycoris("loha_tucker", LohaModule, [CONV], use_tucker=True)
lycoris("lokr", LokrModule, ALL, dim=100000, factor=4)
lycoris("lokr_second_factored", LokrModule, ALL, dim=2, factor=4)
lycoris("lokr_both_factored", LokrModule, ALL, dim=1, factor=4, decompose_both=True)
lycoris("lokr_tucker", LokrModule, [CONV], dim=2, factor=2, use_tucker=True)
lycoris("dora_rows", LoConModule, ALL, weight_decompose=True, wd_on_out=True)
lycoris("dora_columns", LoConModule, ALL, weight_decompose=True, wd_on_out=False)
lycoris("loha_dora", LohaModule, ALL, weight_decompose=True, wd_on_out=False)
lycoris("lokr_dora", LokrModule, ALL, dim=2, factor=4, weight_decompose=True, wd_on_out=True)
lycoris("oft", DiagOFTModule, ALL, dim=4)
lycoris("oft_constraint_rescale", DiagOFTModule, ALL, dim=4, constraint=0.01, rescaled=True)
lycoris("boft", ButterflyOFTModule, LINEAR, dim=6)
lycoris("boft_constraint_rescale", ButterflyOFTModule, [CONV], dim=4, constraint=0.01, rescaled=True)
lycoris("ia3", IA3Module, ALL, train_on_input=False)
lycoris("ia3_on_input", IA3Module, ALL, train_on_input=True)
lycoris("full", FullModule, ALL)
lycoris("norm", NormModule, [NORM])


@torch.no_grad()
def by_formula(kind, path, tensors, merge):
    """A kind that LyCORIS and PEFT do not merge, or no longer: its definition in torch."""
    name = f"lora_unet_{path.replace('.', '_')}"
    save_file({f"{name}.{key}": value.contiguous() for key, value in tensors.items()}, out / f"{kind}.safetensors")
    weight = modules[path].weight
    for strength in STRENGTHS:
        expected[f"{kind}/{strength}/{path}.weight"] = merge(weight, strength).reshape(weight.shape).clone().contiguous()
    index.append({"kind": kind, "layers": 1, "strengths": STRENGTHS})


def random(*shape):
    return torch.randn(*shape) * 0.3


ALPHA = torch.tensor(2.0)
rows, columns = modules[KEY].weight.shape
for conv in (False, True):
    path = CONV if conv else KEY
    o, i, *kernel = modules[path].weight.shape
    ones = [1] * len(kernel)
    a1, a2, b1, b2 = random(i, 4), random(4, i), random(o, 4, *ones), random(4, i, *kernel)

    def new(w, s):
        turned = torch.einsum("oi...,ij->oj...", w, a1 @ a2)
        return w + s * ALPHA / 4 * (turned + (b1.flatten(1) @ b2.flatten(1)).reshape(w.shape))

    tensors = {"a1.weight": a1.reshape(i, 4, *ones), "a2.weight": a2.reshape(4, i, *ones), "b1.weight": b1, "b2.weight": b2, "alpha": ALPHA}
    by_formula("glora_conv" if conv else "glora", path, tensors, new)
bm, c2 = random(4, 4, *kernel), random(4, i, 1, 1)
by_formula(
    "glora_tucker", CONV, {**tensors, "bm.weight": bm, "b2.weight": c2},
    lambda w, s: w + s * ALPHA / 4 * (torch.einsum("oihw,ij->ojhw", w, a1 @ a2) + torch.einsum("oa,abhw,bi->oihw", b1.flatten(1), bm, c2.flatten(1))),
)
o1, o2, p1, p2 = random(4, columns), random(columns, 4), random(4, columns), random(rows, 4)
by_formula(
    "glora_old", KEY, {"a1.weight": o1, "a2.weight": o2, "b1.weight": p1, "b2.weight": p2, "alpha": ALPHA},
    lambda w, s: w + s * ALPHA / 4 * (p2 @ p1 + w @ o2 @ o1),
)


def peft(kind, config, scale=None):
    """A file as PEFT writes it, and the weights that PEFT merges."""
    model = inject_adapter_in_model(config, load(), adapter_name="default")
    layers = {name: module for name, module in model.named_modules() if hasattr(module, "merge") and hasattr(module, "base_layer")}
    for name, parameter in model.named_parameters():
        if any(part in name for part in ("lora_", "hada_", "lokr_", "ia3_", "oft_")):
            with torch.no_grad():
                noise = torch.randn_like(parameter) * 0.3
                parameter.copy_(parameter * (1 + noise) if "magnitude" in name else parameter + noise)
    tensors = {f"base_model.model.{key}": value.clone().contiguous() for key, value in get_peft_model_state_dict(model).items()}
    metadata = {}
    if scale:
        said = {"unet.r": config.r, "unet.lora_alpha": config.lora_alpha} if scale is True else scale
        metadata["lora_adapter_metadata"] = json.dumps(said)
    save_file(tensors, out / f"{kind}.safetensors", metadata)
    for name, layer in layers.items():
        layer.merge()
        expected[f"{kind}/1.0/{name}.weight"] = layer.base_layer.weight.detach().clone().contiguous()
        if layer.base_layer.bias is not None:
            expected[f"{kind}/1.0/{name}.bias"] = layer.base_layer.bias.detach().clone().contiguous()
    index.append({"kind": kind, "layers": len(layers), "strengths": [1.0]})


OUT = f"{BLOCK}.attn1.to_out.0"
peft("peft_dora", LoraConfig(r=4, lora_alpha=8, target_modules=ALL, use_dora=True), scale=True)
peft("peft_bias", LoraConfig(r=4, lora_alpha=8, target_modules=[OUT, CONV], lora_bias=True), scale=True)
peft("peft_loha", LoHaConfig(r=4, alpha=4, target_modules=ALL, use_effective_conv2d=True))
peft("peft_lokr", LoKrConfig(r=2, alpha=2, target_modules=LINEAR, decompose_factor=4))
peft("peft_ia3", IA3Config(target_modules=[QUERY, KEY], feedforward_modules=[KEY]))
peft("peft_oft", OFTConfig(r=0, oft_block_size=4, target_modules=ALL))
peft("peft_oft_shared", OFTConfig(r=4, oft_block_size=0, target_modules=LINEAR, block_share=True))
exact = OFTConfig(r=0, oft_block_size=4, target_modules=LINEAR, use_cayley_neumann=False)
peft("peft_oft_exact", exact, scale={"unet.use_cayley_neumann": False})
peft("peft_boft", BOFTConfig(boft_block_size=4, target_modules=ALL))

# several butterflies, which PEFT makes on graphics cards alone: their one kernel in torch
boft = importlib.import_module("peft.tuners.boft.layer")
boft.get_fbd_cuda = lambda: True
boft.FastBlockDiag.apply = lambda blocks: torch.stack([torch.block_diag(*torch.unbind(each)) for each in blocks])
peft("peft_boft_butterflies", BOFTConfig(boft_block_size=2, boft_n_butterfly_factor=3, target_modules=LINEAR))
peft("peft_boft_butterflies_conv", BOFTConfig(boft_block_size=4, boft_n_butterfly_factor=3, target_modules=[CONV]))

save_file(expected, out / "expected.safetensors")
(out / "index.json").write_text(json.dumps(index, indent=1) + "\n")
for path in sorted(out.iterdir()):
    print(path.name, path.stat().st_size)
