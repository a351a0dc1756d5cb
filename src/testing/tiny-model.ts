import type { GenerateInput, LoadInput } from "../contract/request.ts";
import type { LoadObserver } from "../sessions/lazy-session.ts";
import { goldenPath } from "./golden.ts";

/** The tiny SDXL model with its V1 adapter. */
export const TINY_V1 = { model: goldenPath("tiny-sdxl"), adapter: goldenPath("tiny-photomaker-v1.bin") } satisfies LoadInput;

/** A picture that is not square, of one person. */
export const MAN_WITH_HAT: GenerateInput = {
  prompt: "a photo of a man img, wearing a hat",
  inputIdImages: [goldenPath("photos", "person_0.png")],
  width: 64,
  height: 72,
  numInferenceSteps: 6,
  seed: 1,
};

/** An observer that ignores all events. */
export const silent: LoadObserver = { loading: () => {}, preparing: () => {}, noted: () => {}, loaded: () => {} };
