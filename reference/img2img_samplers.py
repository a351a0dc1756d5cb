"""Records diffusers' schedulers starting in the middle of a run: fixtures/schedulers/from-middle.{json,safetensors}.

python reference/img2img_samplers.py      needs torch 2.8.0, diffusers 0.35.2, scipy

Each sampler runs 10 steps (LCM and TCD: 8), starting as StableDiffusionXLImg2ImgPipeline.get_timesteps does for a strength: add_noise at
the first remaining timestep, then step by step, on the denoiser x*t/(t+1) of schedules.json. `put_back` is the same run with
latents replaced after each step but the last, as in StableDiffusionXLInpaintPipeline: where the mask is 0, by add_noise of the original at
the next timestep.

PNDM (without Runge-Kutta) cannot start in the middle unchanged: its counter takes the second evaluation for the correction of the first
step, whose repeated timestep was cut off, so latents lag one step behind from there on and the last noise is never removed.
The printed figures show it: the noise left by a run whose denoiser predicts exactly the added noise. So `pndm` here starts at the
index of its step, with its counter set past the correction.
"""

import inspect
import json
import pathlib

import diffusers
import torch
from safetensors.torch import save_file

folder = pathlib.Path(__file__).parent.parent / "fixtures" / "schedulers"
torch.set_num_threads(1)
BASE = json.loads((folder / "schedules.json").read_text())["base_config"]
SHAPE = (1, 2, 2, 4)
SEED = 20261201
MASK = [0.0, 0.5, 1.0, 1.0]  # for each column: 1 where latents may change
STRENGTHS = (0.3, 0.6, 0.9, 1.0)
SAMPLERS = {
    "euler": ("EulerDiscreteScheduler", {}, 10, {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}, 10, {}),
    "heun": ("HeunDiscreteScheduler", {}, 10, {}),
    "ddim": ("DDIMScheduler", {}, 10, {"eta": 0.5}),
    "ddpm": ("DDPMScheduler", {}, 10, {}),
    "pndm": ("PNDMScheduler", {}, 10, {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}, 10, {}),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}, 10, {}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, 10, {}),
    "dpmpp_2m_sde_karras": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True},
        10,
        {},
    ),
    "unipc": ("UniPCMultistepScheduler", {}, 10, {}),
    "lcm": ("LCMScheduler", {}, 8, {}),
    "tcd": ("TCDScheduler", {}, 8, {}),
}


def run(name, strength, put_back, prediction="epsilon", aware=True, knows_noise=False):
    cls, kwargs, steps, step_kwargs = SAMPLERS[name]
    scheduler = getattr(diffusers, cls).from_config(BASE, prediction_type=prediction, **kwargs)
    scheduler.set_timesteps(steps)
    start = (steps - min(int(steps * strength), steps)) * scheduler.order
    if name == "pndm" and aware and start > 0:
        start += 1  # timesteps are t0, t1, t1, t2, ...
    timesteps = scheduler.timesteps[start:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start)
    generator = torch.Generator().manual_seed(SEED)
    original = torch.randn(SHAPE, generator=generator)
    noise = torch.randn(SHAPE, generator=generator)
    x = begin = scheduler.add_noise(original, noise, timesteps[:1])
    mask = torch.tensor(MASK).expand(SHAPE)
    drawn = []
    randn = torch.randn

    def recorded(*args, **kw):
        drawn.append(randn(*args, **kw))
        return drawn[-1]

    if "generator" in inspect.signature(scheduler.step).parameters:
        step_kwargs = {**step_kwargs, "generator": generator}
    after = []
    torch.randn = recorded
    try:
        for i, t in enumerate(timesteps):
            seen = scheduler.scale_model_input(x, t)
            output = noise if knows_noise else seen * (t / (t + 1))
            x = scheduler.step(output, t, x, return_dict=False, **step_kwargs)[0]
            if name == "pndm" and aware and start > 0 and i == 0:
                scheduler.counter = 2
            if put_back and i < len(timesteps) - 1:
                known = scheduler.add_noise(original, noise, timesteps[i + 1 : i + 2])
                x = (1 - mask) * known + mask * x
            after.append(x)
    finally:
        torch.randn = randn
    tensors = {"original": original, "noise": noise, "begin": begin, "after": torch.stack(after)}
    if drawn:
        tensors["drawn"] = torch.stack(drawn)
    return start, tensors


tensors = {}
cases = []
for name, (cls, kwargs, steps, step_kwargs) in SAMPLERS.items():
    runs = [(strength, put_back, "epsilon") for strength in STRENGTHS for put_back in (False, True)]
    for strength, put_back, prediction in [*runs, (0.6, True, "v_prediction")]:
        key = ".".join([name, str(strength), *["put_back"] * put_back, *[prediction] * (prediction != "epsilon")])
        start, made = run(name, strength, put_back, prediction)
        shared = {k: made.pop(k) for k in ("original", "noise")}
        assert all(torch.equal(tensors.setdefault(k, v), v) for k, v in shared.items())
        tensors |= {f"{key}.{k}": v for k, v in made.items()}
        case = {"key": key, "sampler": name, "prediction_type": prediction, "steps": steps, "strength": strength, "from": start}
        cases.append(case | {"put_back": put_back, **step_kwargs})
for strength in STRENGTHS:
    for aware in (False, True):
        made = run("pndm", strength, False, aware=aware, knows_noise=True)[1]
        error = (made["after"][-1] - made["original"]).square().mean().sqrt().item()
        print(f"pndm, strength {strength}, {'counter set' if aware else 'as it is'}: noise of {error:.4f} left")

maker = f"reference/img2img_samplers.py, torch {torch.__version__}, diffusers {diffusers.__version__}"
for name, tensor in tensors.items():
    assert tensor.isfinite().all(), name
save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "from-middle.safetensors", {"maker": maker})
(folder / "from-middle.json").write_text(
    json.dumps({"maker": maker, "mask": MASK, "cases": cases}, indent=1) + "\n"
)
