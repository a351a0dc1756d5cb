import { expect, test } from "vitest";
import { SAMPLER_NAMES } from "./create-sampler.ts";
import { samplerLabel, samplerOfLabel } from "./sampler-labels.ts";

test("every sampler is called as other programs know it, and found by that name", () => {
  for (const name of SAMPLER_NAMES) expect(samplerOfLabel(samplerLabel(name, undefined))).toBe(name);
  expect(["euler_a", "dpmpp_2m_karras", "pndm"].map((name) => samplerLabel(name as never, undefined))).toEqual([
    "Euler a",
    "DPM++ 2M Karras",
    "PLMS",
  ]);
});

test.each([
  [undefined, "Euler"],
  [{ _class_name: "EulerAncestralDiscreteScheduler" }, "Euler a"],
  [{ _class_name: "DPMSolverMultistepScheduler", use_karras_sigmas: true }, "DPM++ 2M Karras"],
  [{ _class_name: "DPMSolverMultistepScheduler", algorithm_type: "sde-dpmsolver++" }, "DPM++ 2M SDE"],
  [{ _class_name: "EDMDPMSolverMultistepScheduler" }, "DPM++ 2M Karras"],
  [{ _class_name: "EDMDPMSolverMultistepScheduler", sigma_schedule: "exponential" }, "DPM++ 2M"],
  [{ _class_name: "EDMEulerScheduler" }, "Euler"],
])("the model's own sampler is called by its name, too: %j", (config, label) => {
  expect(samplerLabel(undefined, config)).toBe(label);
});

test.each([
  ["euler_ancestral", "normal", "euler_a"],
  ["DPM++ 2M", "Karras", "dpmpp_2m_karras"],
  ["dpmpp_2m_sde_gpu", "karras", "dpmpp_2m_sde_karras"],
  ["dpmpp_2m_sde_k", undefined, "dpmpp_2m_sde_karras"],
  ["uni_pc", "simple", "unipc"],
  ["Euler", "Karras", undefined],
  ["DPM++ 3M SDE", "Automatic", undefined],
  ["dpmpp_2m", "exponential", undefined],
])("%s with the schedule %s is %s", (label, schedule, name) => {
  expect(samplerOfLabel(label, schedule)).toBe(name);
});
