import fc from "fast-check";
import { expect, test } from "vitest";
import { mergeStepNotices, mergeStepOf } from "../pipeline/denoise/merge-step.ts";
import { nearestName } from "./nearest-name.ts";
import { checkPhotos, parseGenerateRequest, parseLoadOptions } from "./request.ts";

const prompt = "a man img";

test("defaults are those of diffusers and the demo", () => {
  expect(parseGenerateRequest({ prompt })).toEqual({
    prompt,
    inputIdImages: [],
    guidanceRescale: 0,
    guidanceEnd: 1,
    numImagesPerPrompt: 1,
    generatorDevice: "cpu",
    cropsCoordsTopLeft: [0, 0],
    negativeCropsCoordsTopLeft: [0, 0],
    preview: false,
  });
  expect(parseLoadOptions({ model: "m", loras: [{ path: "a" }] })).toEqual({
    model: "m",
    adapterScale: 1,
    loras: [{ path: "a", scale: 1 }],
    triggerWord: "img",
    device: "auto",
    precision: "auto",
    unloadAfterUse: false,
    encodingCacheBytes: 64 * 2 ** 20,
  });
});

test("no negative prompt and an empty one differ", () => {
  expect(parseGenerateRequest({ prompt })).not.toHaveProperty("negativePrompt");
  expect(parseGenerateRequest({ prompt, negativePrompt: "" }).negativePrompt).toBe("");
});

test.each([
  [{}, "prompt/missing", "prompt is missing."],
  [{ prompt: " " }, "prompt/empty", "prompt is empty."],
  [{ prompt: 3 }, "prompt/wrong-type", "prompt is 3, and must be text."],
  [{ prompt, width: 1001 }, "size/not-multiple-of-8", "width is 1001, which is not a multiple of 8."],
  [{ prompt, height: 0 }, "size/out-of-range", "height is 0, and must be at least 8."],
  [{ prompt, height: "x" }, "size/wrong-type", 'height is "x", and must be a number.'],
  [{ prompt, width: 512.5 }, "size/wrong-type", "width is 512.5, and must be a whole number."],
  [{ prompt, numInferenceSteps: 0 }, "steps/out-of-range", "numInferenceSteps is 0, and must be at least 1."],
  [{ prompt, guidanceScale: Number.NaN }, "guidance-scale/wrong-type", "guidanceScale is NaN, and must be a number."],
  [{ prompt, startMergeStep: -2 }, "start-merge-step/out-of-range", "startMergeStep is -2, and must be at least -1."],
  [{ prompt, styleStrength: 101 }, "style-strength/out-of-range", "styleStrength is 101, and must be at most 100."],
  [{ prompt, startMergeStep: 1, styleStrength: 1 }, "merge-step/given-twice", /startMergeStep and styleStrength/],
  [{ prompt, seed: -1 }, "seed/out-of-range", "seed is -1, and must be at least 0."],
  [{ prompt, seed: 2 ** 60 }, "seed/out-of-range", /at most 9007199254740991/],
  [{ prompt, numImagesPerPrompt: 0 }, "num-images/out-of-range", /at least 1/],
  [{ prompt, originalSize: [512] }, "original-size/wrong-type", /originalSize/],
  [{ prompt, originalSize: [512, 0] }, "original-size/out-of-range", /originalSize.1 is 0/],
  [{ prompt, inputIdImages: "a.png" }, "id-images/wrong-type", /must be a list/],
  [{ prompt, inputIdImages: [""] }, "id-images/empty", /inputIdImages.0/],
  [{ prompt, scheduler: "eulr" }, "scheduler/unknown", /one of euler, euler_a/],
  [{ prompt, people: [] }, "people/empty", "people is [], and must have 1 or more entries."],
  [{ prompt, people: [{ photos: [""] }] }, "people/empty", "people.0.photos.0 is empty."],
  [{ prompt, people: [{ weight: "x" }] }, "people/wrong-type", 'people.0.weight is "x", and must be a number.'],
  [{ prompt, people: [{ name: "a" }] }, "request/unknown-key", 'There is no option "name" in people.0.'],
  [{ prompt, stepz: 3 }, "request/unknown-key", 'There is no option "stepz".'],
  [[], "request/wrong-type", /must be an object/],
])("%j is refused: %s", (request, code, message) => {
  expect(() => parseGenerateRequest(request)).toThrow(
    expect.objectContaining({
      name: "UserError",
      code,
      message: typeof message === "string" ? message : expect.stringMatching(message),
    }),
  );
});

test.each([
  [{}, "model/missing"],
  [{ model: "m", device: "gpu" }, "device/unknown"],
  [{ model: "m", triggerWord: "a b" }, "trigger-word/wrong-form"],
  [{ model: "m", threads: 0 }, "threads/out-of-range"],
  [{ model: "m", loras: [{ path: "a", scale: "x" }] }, "loras/wrong-type"],
])("%j cannot be loaded: %s", (options, code) => {
  expect(() => parseLoadOptions(options)).toThrow(expect.objectContaining({ name: "UserError", code }));
});

test("remedies name the nearest valid value", () => {
  const remedy = (request: object) => {
    try {
      return parseGenerateRequest({ prompt, ...request });
    } catch (error) {
      return (error as { remedy?: string }).remedy;
    }
  };
  expect(remedy({ width: 1001 })).toBe("Take 1000 or 1008.");
  expect(remedy({ scheduler: "dpmpp-2m-karas" })).toBe("Did you mean dpmpp_2m_karras?");
  expect(remedy({ guidence_scale: 1 })).toBe("Did you mean guidanceScale?");
  expect(remedy({ banana: 1 })).toMatch(/^Known options: prompt, /);
  expect(remedy({ people: [{ photo: ["a"] }] })).toBe("Did you mean photos?");
  expect(remedy({ people: [{ banana: 1 }] })).toMatch(/^Known options: photos, idEmbeds, /);
  expect(remedy({ people: [{ region: { banana: 1 } }] })).toMatch(/people/);
});

test("errors name options as the user does", () => {
  const nameOf = () => "--steps";
  expect(() => parseGenerateRequest({ prompt, numInferenceSteps: 0 }, nameOf)).toThrow("--steps is 0");
});

test("photos and adapter go together", () => {
  expect(() => checkPhotos(true, { inputIdImages: [] })).toThrow(expect.objectContaining({ code: "id-images/missing" }));
  expect(() => checkPhotos(false, { inputIdImages: ["a"] })).toThrow(expect.objectContaining({ code: "id-images/not-wanted" }));
  checkPhotos(true, { inputIdImages: ["a"] });
  checkPhotos(false, { inputIdImages: [] });
});

test("with few steps, the default merge step leaves most of them to the identity", () => {
  const without = (numInferenceSteps: number) => mergeStepOf({ numInferenceSteps }) + 1;
  expect([1, 2, 3, 4, 5, 6, 7, 8].map(without)).toEqual([0, 0, 1, 1, 1, 1, 1, 2]);
  expect(mergeStepOf({ numInferenceSteps: 5, styleStrength: 20 })).toBe(1); // as in the demo, where it is given
  expect(mergeStepOf({ numInferenceSteps: 1, startMergeStep: 3 })).toBe(3);
  const codes = (request: Parameters<typeof mergeStepNotices>[0], total: number) =>
    mergeStepNotices(request, total).map(({ code }) => code);
  expect(mergeStepNotices({ numInferenceSteps: 5 }, 5, 3)[0]!.message).toContain("2 of 2 steps are with the person"); // from a picture
  expect(mergeStepNotices({ numInferenceSteps: 4 }, 4)[0]!.message).toContain(
    "3 of 4 steps are with the person (start merge step 0)",
  );
  expect(codes({ numInferenceSteps: 4, startMergeStep: 3 }, 4)).toEqual(["merge-step/never"]);
  expect(codes({ numInferenceSteps: 4, startMergeStep: 2 }, 4)).toEqual([]);
  expect(codes({ numInferenceSteps: 4 }, 4)).toEqual(["merge-step/few-steps"]);
  expect(codes({ numInferenceSteps: 50 }, 50)).toEqual([]);
});

test("style strength is converted to a step as in the demo", () => {
  expect(mergeStepOf({ numInferenceSteps: 50 })).toBe(10);
  expect(mergeStepOf({ numInferenceSteps: 50, styleStrength: 15 })).toBe(7);
  expect(mergeStepOf({ numInferenceSteps: 100, styleStrength: 50 })).toBe(30);
  expect(mergeStepOf({ numInferenceSteps: 4, styleStrength: 20 })).toBe(0);
  expect(mergeStepOf({ numInferenceSteps: 50, startMergeStep: -1 })).toBe(-1);
});

test("sizes are accepted exactly if they are multiples of 8", () => {
  fc.assert(
    fc.property(fc.integer({ min: 8, max: 16384 }), (width) => {
      const take = () => parseGenerateRequest({ prompt, width }).width;
      if (width % 8 === 0) expect(take()).toBe(width);
      else expect(take).toThrow();
    }),
  );
});

test("nearest name", () => {
  expect(nearestName("negative_promt", ["prompt", "negativePrompt"])).toBe("negativePrompt");
  expect(nearestName("x", ["prompt"])).toBeUndefined();
});
