import { expect, test } from "vitest";
import { foreignSettings } from "./foreign-settings.ts";

test("SwarmUI's parameters are read, and what has no counterpart is named", () => {
  const sui_image_params = {
    prompt: "a cat",
    negativeprompt: "ugly",
    model: "folder/juggernaut",
    seed: "9007199254740993",
    steps: 20,
    cfgscale: 6.5,
    aspectratio: "Custom",
    width: 64,
    height: 72,
    sampler: "euler_ancestral",
    scheduler: "normal",
    loras: ["styles/ink"],
    loraweights: ["0.5"],
    refinermethod: "PostApply",
    swarm_version: "0.9.5",
  };
  expect(foreignSettings({ parameters: JSON.stringify({ sui_image_params, sui_extra_data: {} }) })).toEqual({
    program: "SwarmUI",
    request: {
      prompt: "a cat",
      negativePrompt: "ugly",
      numInferenceSteps: 20,
      guidanceScale: 6.5,
      seed: "9007199254740993",
      width: 64,
      height: 72,
      scheduler: "euler_a",
    },
    load: { model: "juggernaut.safetensors", loras: [{ path: "ink.safetensors", scale: 0.5 }] },
    left: ["refinermethod: PostApply"],
  });
});

test("A1111's text is read, and what has no counterpart is named", () => {
  const parameters = `a (cat:1.2),
sitting
Negative prompt: ugly,
blurry
Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 18446744073709551615, Size: 832x1216, Model hash: 31e35c80fc, Model: sdXL_v10, Hires upscale: 2, Lora hashes: "x: 1, y: 2", Version: v1.9.4`;
  expect(foreignSettings({ parameters })).toEqual({
    program: "A1111's web UI or one of its kin",
    request: {
      prompt: "a (cat:1.2),\nsitting",
      negativePrompt: "ugly,\nblurry",
      numInferenceSteps: 30,
      guidanceScale: 6.5,
      seed: "18446744073709551615",
      width: 832,
      height: 1216,
      scheduler: "dpmpp_2m_karras",
      generatorDevice: "cuda",
    },
    load: { model: "sdXL_v10.safetensors" },
    left: ["Hires upscale: 2"],
  });
  const short = foreignSettings({ parameters: "a\nSteps: 3, Sampler: DPM fast, Seed: 1, RNG: CPU" })!;
  expect(short).toMatchObject({ request: { generatorDevice: "cpu" }, left: ["sampler: DPM fast"] });
  expect(short.request).not.toHaveProperty("scheduler");
});

test("Fooocus' own form is read", () => {
  const parameters = JSON.stringify({
    ...{ prompt: "a cat", negative_prompt: "", steps: 30, guidance_scale: 4, resolution: "(896, 1152)", clip_skip: 2 },
    ...{ sampler: "dpmpp_2m_sde_gpu", scheduler: "karras", base_model: "juggernaut.safetensors", styles: "['Fooocus V2']" },
    loras: [["offset.safetensors", 0.1, "abc"]],
    version: "Fooocus v2.5.0",
  }).replace("{", '{"seed": 7180283452901234567, ');
  expect(foreignSettings({ parameters, fooocus_scheme: "fooocus" })).toEqual({
    program: "Fooocus",
    request: {
      ...{ prompt: "a cat", numInferenceSteps: 30, guidanceScale: 4, seed: "7180283452901234567", width: 896, height: 1152 },
      scheduler: "dpmpp_2m_sde_karras",
    },
    load: { model: "juggernaut.safetensors", loras: [{ path: "offset.safetensors", scale: 0.1 }] },
    left: ["styles: ['Fooocus V2']"],
  });
});

test("ComfyUI's graph is followed from its sampler", () => {
  const prompt = JSON.stringify({
    "3": {
      class_type: "KSampler",
      inputs: {
        ...{ seed: 5, steps: ["11", 0], cfg: 7, sampler_name: "euler_ancestral", scheduler: "normal", denoise: 1 },
        ...{ model: ["10", 0], positive: ["12", 0], negative: ["7", 0], latent_image: ["5", 0] },
      },
    },
    "4": { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "xl/base.safetensors" } },
    "5": { class_type: "EmptyLatentImage", inputs: { width: 1024, height: 768, batch_size: 1 } },
    "6": { class_type: "CLIPTextEncode", inputs: { text: "a cat", clip: ["4", 1] } },
    "7": { class_type: "CLIPTextEncode", inputs: { text: "ugly", clip: ["4", 1] } },
    "8": { class_type: "VAEDecode", inputs: { samples: ["3", 0] } },
    "10": { class_type: "LoraLoader", inputs: { lora_name: "style.safetensors", strength_model: 0.8, model: ["4", 0] } },
    "11": { class_type: "PrimitiveInt", inputs: { value: 20 } },
    "12": { class_type: "ConditioningSetArea", inputs: { conditioning: ["6", 0] } },
    "13": { class_type: "CLIPSetLastLayer", inputs: { stop_at_clip_layer: -3 } },
    "14": { class_type: "UpscaleModelLoader", inputs: {} },
  });
  expect(foreignSettings({ prompt })).toEqual({
    program: "ComfyUI",
    request: {
      ...{ prompt: "a cat", negativePrompt: "ugly", numInferenceSteps: 20, guidanceScale: 7, seed: 5 },
      ...{ scheduler: "euler_a", width: 1024, height: 768, clipSkip: 1 },
    },
    load: { model: "base.safetensors", loras: [{ path: "style.safetensors", scale: 0.8 }] },
    left: ["UpscaleModelLoader"],
  });
});

test("InvokeAI's metadata is read", () => {
  const invokeai_metadata = JSON.stringify({
    ...{ positive_prompt: "a cat", negative_prompt: "ugly", steps: 25, cfg_scale: 5.5, seed: 3, width: 1024, height: 1024 },
    ...{
      scheduler: "dpmpp_2m_k",
      rand_device: "cpu",
      model: { name: "sdxl-base", base: "sdxl" },
      clip_skip: 0,
      app_version: "5.0",
    },
    loras: [{ model: { name: "style" }, weight: 0.5 }],
    generation_mode: "sdxl_txt2img",
  });
  expect(foreignSettings({ invokeai_metadata })).toEqual({
    program: "InvokeAI",
    request: {
      ...{
        prompt: "a cat",
        negativePrompt: "ugly",
        numInferenceSteps: 25,
        guidanceScale: 5.5,
        seed: 3,
        width: 1024,
        height: 1024,
      },
      ...{ scheduler: "dpmpp_2m_karras", generatorDevice: "cpu" },
    },
    load: { model: "sdxl-base.safetensors", loras: [{ path: "style.safetensors", scale: 0.5 }] },
    left: ["generation_mode: sdxl_txt2img"],
  });
});

test("a graph of ComfyUI that leads in a circle, and lists that hold something else, end nothing", () => {
  const lora = (name: string, from: string) => ({
    class_type: "LoraLoader",
    inputs: { lora_name: name, strength_model: 1, model: [from, 0] },
  });
  const graph = {
    "1": { class_type: "KSampler", inputs: { seed: 1, steps: ["5", 0], model: ["2", 0], positive: ["4", 0] } },
    "2": lora("a.safetensors", "3"),
    "3": lora("b.safetensors", "2"),
    "4": { class_type: "ConditioningCombine", inputs: { conditioning_1: ["4", 0] } },
    "5": { class_type: "Odd", inputs: null },
  };
  expect(foreignSettings({ prompt: JSON.stringify(graph) })).toMatchObject({
    load: { loras: [{ path: "b.safetensors" }, { path: "a.safetensors" }] },
    request: { seed: 1 },
  });
  const loras = [null, 5];
  expect(foreignSettings({ parameters: JSON.stringify({ seed: 1, loras }) })).toMatchObject({ load: {} });
  expect(foreignSettings({ invokeai_metadata: JSON.stringify({ seed: 1, loras }) })).toMatchObject({ load: {} });
});

test.each([
  {},
  { parameters: "a cat" },
  { prompt: "{not json" },
  { prompt: '{"1": {"class_type": "Note", "inputs": {}}}' },
  { parameters: "{a|b} cat" },
])("%j says nothing of how a picture was made", (texts) => {
  expect(foreignSettings(texts)).toBeUndefined();
});
