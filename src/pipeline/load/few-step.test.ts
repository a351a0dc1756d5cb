import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type GenerateInput, parseGenerateRequest } from "../../contract/request.ts";
import { goldenPath } from "../../testing/golden.ts";
import { PhotoMaker } from "../photomaker.ts";
import { fewStepNotices, samplerOf, settle } from "../settle.ts";
import { detectFewStep, type FewStep, type ModelSource, nameOf } from "./few-step.ts";

const source = (kind: ModelSource["kind"], path: string, more: Partial<ModelSource> = {}): ModelSource => ({
  kind,
  path,
  metadata: {},
  ...more,
});
const found = (...sources: ModelSource[]): FewStep | undefined => detectFewStep(sources)?.fewStep;

test.each<[ModelSource["kind"], string, Partial<FewStep> | undefined]>([
  ["lora", "sdxl_lightning_4step_lora.safetensors", { name: "SDXL-Lightning", scheduler: "euler", steps: 4, guidanceScale: 1 }],
  ["lora", "sdxl_lightning_8step_lora.safetensors", { timestepSpacing: "trailing", steps: 8 }],
  ["model", "sdxl_lightning_1step_x0.safetensors", { steps: 1, predictionType: "sample" }],
  ["model", "RealVisXL_V4.0_Lightning", { name: "SDXL-Lightning", steps: 8 }],
  ["model", "/a/dreamshaperXL_lightningDPMSDE.safetensors", { name: "SDXL-Lightning" }],
  ["model", "dreamshaperXL_v21TurboDPMSDE.safetensors", { name: "SDXL-Turbo" }],
  ["model", "juggernautXL_v9Rdphoto2Lightning.safetensors", { name: "SDXL-Lightning" }],
  ["model", "realvisxlV40_v40LightningBakedvae.safetensors", { name: "SDXL-Lightning" }],
  ["model", "turbovisionxlSuperFastXLBasedOnNew.safetensors", { name: "SDXL-Turbo" }],
  ["model", "DreamShaperXLTurbo.safetensors", { name: "SDXL-Turbo" }],
  ["model", "Juggernaut_X_RunDiffusion_Hyper.safetensors", { name: "Hyper-SD" }],
  ["model", "hyperrealisticXL_v10.safetensors", undefined],
  ["model", "hyperRealismXL_v30.safetensors", undefined],
  ["model", "ponyRealism_v22HyperVAE.safetensors", { name: "Hyper-SD", steps: 8 }],
  ["model", "halcyonSDXL_v17Hyper8steps.safetensors", { name: "Hyper-SD", steps: 8 }],
  ["model", "wildcardxXLTURBO_wildcardxXLTURBOV10.safetensors", { name: "SDXL-Turbo" }],
  ["model", "juggernautXL_juggXILightningByRD.safetensors", { name: "SDXL-Lightning" }],
  ["model", "aamXLAnimeMix_v10HalfturboEulera.safetensors", { name: "SDXL-Turbo" }],
  ["model", "bigLust_v16DMD2.safetensors", { name: "DMD2", steps: 4 }],
  ["model", "splashedMixDMD_v5.safetensors", { name: "DMD2", steps: 4 }],
  ["model", "juggernautXL_v9LCM.safetensors", { name: "LCM" }],
  ["lora", "pony_xl_lightning_hair.safetensors", undefined],
  ["lora", "LightningMcQueenXL.safetensors", undefined],
  ["lora", "sdxl_turbo_engine_v1.safetensors", undefined],
  ["lora", "hyper_sdxl_portraits.safetensors", undefined],
  ["lora", "sdxl_lightning_style.safetensors", undefined],
  ["lora", "XL_turbo_cars.safetensors", undefined],
  ["lora", "storm_and_lightning_style.safetensors", undefined],
  ["lora", "Hyper-SDXL-8steps-lora.safetensors", { name: "Hyper-SD", scheduler: "ddim", timestepSpacing: "trailing", steps: 8 }],
  ["lora", "Hyper-SDXL-8steps-CFG-lora.safetensors", { scheduler: "ddim", guidanceScale: 5, guidanceUpTo: 8, steps: 8 }],
  ["lora", "Hyper-SDXL-1step-lora.safetensors", { scheduler: "tcd", eta: 1, stepsRange: [1, 8] }],
  ["model", "Hyper-SDXL-1step-Unet.safetensors", { scheduler: "lcm", timesteps: [800], steps: 1 }],
  ["lora", "dmd2_sdxl_4step_lora_fp16.safetensors", { name: "DMD2", scheduler: "lcm", timesteps: [999, 749, 499, 249] }],
  ["model", "dmd2_sdxl_1step_unet_fp16.bin", { timesteps: [399], steps: 1 }],
  ["lora", "lcm-lora-sdxl/pytorch_lora_weights.safetensors", { name: "LCM", scheduler: "lcm", steps: 4, guidanceUpTo: 2 }],
  ["lora", "x/models--h1t--TCD-SDXL-LoRA/snapshots/abc/pytorch_lora_weights.safetensors", { scheduler: "tcd", eta: 0.3 }],
  ["model", "x/models--stabilityai--sdxl-turbo/snapshots/abc", { name: "SDXL-Turbo", scheduler: "euler_a", stepsRange: [1, 4] }],
  ["lora", "sd_xl_turbo_lora_v1-64dim.safetensors", { name: "SDXL-Turbo" }],
  ["model", "stable-diffusion-xl-base-1.0", undefined],
  ["model", "/home/turbo/lcm/sd_xl_base_1.0.safetensors", undefined],
  ["lora", "watercolor.safetensors", undefined],
])("%s %s", (kind, path, expected) => {
  if (expected === undefined) expect(found(source(kind, path))).toBeUndefined();
  else expect(found(source(kind, path))).toMatchObject(expected);
});

describe("what tells", () => {
  test("metadata takes precedence over names, and a LoRA's base model is ignored", () => {
    const titled = source("lora", "a.safetensors", { metadata: { ss_output_name: "sdxl_lightning_2step_lora" } });
    expect(detectFewStep([titled])).toMatchObject({ fewStep: { steps: 2 }, by: "ss_output_name in a.safetensors" });
    const modelspec = source("model", "b_4step.safetensors", { metadata: { "modelspec.title": "My XL Lightning" } });
    expect(found(modelspec)?.steps).toBe(4); // the number stands in the name
    expect(found(source("lora", "a.safetensors", { metadata: { ss_sd_model_name: "sdxl_turbo.safetensors" } }))).toBeUndefined();
  });
  test("a scheduler that only one kind of model uses identifies it", () => {
    const model = (name: string) => source("model", "x", { scheduler: { _class_name: name } });
    expect(detectFewStep([model("LCMScheduler")])).toMatchObject({ fewStep: { name: "LCM" }, by: "the scheduler of x" });
    expect(found(model("TCDScheduler"))?.name).toBe("TCD");
    expect(found(model("EulerDiscreteScheduler"))).toBeUndefined();
  });
  test("a LoRA takes precedence over the model", () => {
    expect(found(source("model", "sdxl-turbo"), source("lora", "sdxl_lightning_2step_lora.safetensors"))?.steps).toBe(2);
  });
  test("in the hub's cache, names of repositories are used", () => {
    expect(nameOf("/c/models--a--b-c/snapshots/0f/d.bin")).toBe("a/b-c/d.bin");
    expect(nameOf("/c/models--a--b-c/snapshots/0f")).toBe("a/b-c");
  });
});

const lightning = detectFewStep([source("lora", "sdxl_lightning_4step_lora.safetensors")]);
const asked = (input: Partial<GenerateInput>) => settle(parseGenerateRequest({ prompt: "a", ...input }), lightning);

test("defaults are the few-step model's, otherwise those of diffusers and the demo", () => {
  const wanted = { numInferenceSteps: 4, guidanceScale: 1, eta: 0, scheduler: "euler", timestepSpacing: "trailing" };
  expect(asked({})).toMatchObject({ request: wanted, notices: [] });
  const usual = settle(parseGenerateRequest({ prompt: "a" }), undefined);
  expect(usual).toMatchObject({ request: { numInferenceSteps: 50, guidanceScale: 5, eta: 0 }, notices: [] });
  expect(usual.request).not.toHaveProperty("scheduler");
  expect(fewStepNotices(lightning)[0]!.message).toBe(
    "This is SDXL-Lightning, by the name sdxl_lightning_4step_lora.safetensors: defaults are scheduler euler with trailing timesteps, 4 steps, no guidance (1).",
  );
});

test("given values are kept, with a notice where they do not suit the model", () => {
  const { request, notices } = asked({ numInferenceSteps: 50, guidanceScale: 5, scheduler: "ddim", timestepSpacing: "leading" });
  expect(request).toMatchObject({ numInferenceSteps: 50, guidanceScale: 5, scheduler: "ddim", timestepSpacing: "leading" });
  expect(notices.map(({ code }) => code)).toEqual(["few-step/other-settings"]);
  expect(notices[0]!.message).toContain(
    "50 steps instead of 4; guidance 5 instead of 1; scheduler ddim instead of euler; leading timesteps instead of trailing",
  );
  expect(asked({ numInferenceSteps: 4, guidanceScale: 0, scheduler: "euler" }).notices).toEqual([]);
});

test("samplers use the timesteps of the model's training", () => {
  const timesteps = (path: string, input: Partial<GenerateInput> = {}) => {
    const detected = detectFewStep([source("model", path)]);
    const { request } = settle(parseGenerateRequest({ prompt: "a", ...input }), detected);
    return samplerOf(request, undefined, detected).timesteps;
  };
  expect(timesteps("sdxl_lightning_4step")).toEqual([999, 749, 499, 249]);
  expect(timesteps("dmd2_4step")).toEqual([999, 749, 499, 249]);
  expect(timesteps("dmd2_1step")).toEqual([399]);
  expect(timesteps("dmd2_4step", { numInferenceSteps: 2 })).toEqual([999, 499]); // as LCM lays them out
  expect(timesteps("sdxl-turbo", { numInferenceSteps: 1 })).toEqual([999]);
  expect(timesteps("sdxl", { numInferenceSteps: 4, timestepSpacing: "linspace", scheduler: "ddim" })).toEqual([999, 666, 333, 0]);
});

test("a Lightning LoRA is recognised, and draws as with the same options given", async () => {
  const folder = await mkdtemp(join(tmpdir(), "few-step-"));
  try {
    const path = join(folder, "sdxl_lightning_2step_lora.safetensors");
    await copyFile(goldenPath("lora", "peft.safetensors"), path);
    const input: GenerateInput = { prompt: "a hat", width: 64, height: 64, seed: 1 };
    const given: GenerateInput = {
      ...input,
      numInferenceSteps: 2,
      guidanceScale: 1,
      scheduler: "euler",
      timestepSpacing: "trailing",
    };
    await using pm = await PhotoMaker.load({ model: goldenPath("tiny-sdxl"), loras: [{ path }] });
    expect(pm.notices.map(({ code }) => code)).toContain("few-step/detected");
    const byItself = await pm.generate(input);
    expect(byItself.timings.evaluations).toHaveLength(2);
    expect(byItself.images[0]!.settings).toMatchObject({ numInferenceSteps: 2, scheduler: "euler", timestepSpacing: "trailing" });
    expect((await pm.generate(given)).latents.final).toEqual(byItself.latents.final);
    const other = await pm.generate({ ...input, numInferenceSteps: 3 });
    expect(other.timings.evaluations).toHaveLength(3);
    expect(other.notices.map(({ code }) => code)).toEqual(["few-step/other-settings"]);

    await using plain = await PhotoMaker.load({
      model: goldenPath("tiny-sdxl"),
      loras: [{ path: goldenPath("lora", "peft.safetensors") }],
    });
    expect(plain.notices.map(({ code }) => code)).not.toContain("few-step/detected");
    expect((await plain.generate(given)).latents.final).toEqual(byItself.latents.final);
  } finally {
    await rm(folder, { recursive: true });
  }
});
