"""Records diffusers' EDM schedulers: fixtures/schedulers/edm.{json,safetensors}.

python reference/edm_samplers.py      needs torch 2.8.0, diffusers 0.35.2

Each runs on the denoiser x * (t + 2) / 4, whole and from the middle, as StableDiffusionXLPipeline and its Img2Img sibling call it: the
run begins with noise times init_noise_sigma, or with add_noise at the first remaining timestep.
"""

import json
import pathlib

import diffusers
import torch
from safetensors.torch import save_file

folder = pathlib.Path(__file__).parent.parent / "fixtures" / "schedulers"
torch.set_num_threads(1)
SHAPE = (1, 2, 2, 4)
SEED = 20261202
COSXL = {
    "sigma_min": 0.002,
    "sigma_max": 120.0,
    "sigma_data": 1.0,
    "prediction_type": "v_prediction",
    "sigma_schedule": "exponential",
}
CASES = {
    "euler": ("EDMEulerScheduler", {}),
    "euler.cosxl": ("EDMEulerScheduler", COSXL),
    "euler.churn": ("EDMEulerScheduler", {"rho": 5.0}),
    "euler.sigma_min": ("EDMEulerScheduler", {"final_sigmas_type": "sigma_min"}),
    "dpm": ("EDMDPMSolverMultistepScheduler", {}),
    "dpm.cosxl": ("EDMDPMSolverMultistepScheduler", COSXL),
    "dpm.heun": ("EDMDPMSolverMultistepScheduler", {"solver_type": "heun"}),
    "dpm.3": ("EDMDPMSolverMultistepScheduler", {"solver_order": 3}),
    "dpm.1": ("EDMDPMSolverMultistepScheduler", {"solver_order": 1, "prediction_type": "v_prediction"}),
    "dpm.sde": ("EDMDPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpm.sigma_min": ("EDMDPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min"}),
}
STEPS = (1, 2, 8, 16)
CHURN = {"s_churn": 4.0, "s_noise": 1.003}

tensors = {}
cases = []
for key, (name, config) in CASES.items():
    for steps in STEPS:
        if steps == 1 and config.get("sigma_schedule") == "exponential":
            continue  # begins at sigma_min, with the noise of sigma_max
        if steps == 1 and key == "euler.sigma_min":
            continue  # ends at sigma_max, where it begins
        for start in sorted({0, steps // 2}):
            scheduler = getattr(diffusers, name)(**config)
            scheduler.set_timesteps(steps)
            scheduler.set_begin_index(start)
            generator = torch.Generator().manual_seed(SEED)
            original = torch.randn(SHAPE, generator=generator)
            noise = torch.randn(SHAPE, generator=generator)
            timesteps = scheduler.timesteps[start:]
            begin = scheduler.add_noise(original, noise, timesteps[:1]) if start else noise * scheduler.init_noise_sigma
            drawn = []

            def recorded(*args, **kw):
                drawn.append(torch.randn(SHAPE, generator=generator))
                return drawn[-1]

            module = __import__(scheduler.__module__, fromlist=["x"])
            module.randn_tensor = recorded
            x = begin
            after = []
            for t in timesteps:
                output = scheduler.scale_model_input(x, t) * (t + 2) / 4
                x = scheduler.step(output, t, x, return_dict=False, **(CHURN if key == "euler.churn" else {}))[0]
                after.append(x)
            made = f"{key}.{steps}.{start}"
            tensors |= {f"{made}.begin": begin, f"{made}.after": torch.stack(after)}
            if drawn:
                tensors[f"{made}.drawn"] = torch.stack(drawn)
            tensors |= {"original": original, "noise": noise}
            case = {"key": made, "class": name, "config": config, "steps": steps, "from": start}
            case |= {"timesteps": scheduler.timesteps.tolist(), "sigmas": scheduler.sigmas.tolist()}
            case |= {"init_noise_sigma": float(scheduler.init_noise_sigma)} | (CHURN if key == "euler.churn" else {})
            cases.append(case)

maker = f"reference/edm_samplers.py, torch {torch.__version__}, diffusers {diffusers.__version__}"
for name, tensor in tensors.items():
    assert tensor.isfinite().all(), name
save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "edm.safetensors", {"maker": maker})
(folder / "edm.json").write_text(json.dumps({"maker": maker, "cases": cases}, indent=1) + "\n")
