import { expect, test } from "vitest";
import { sdCppTimes } from "./sd-cpp-output.ts";

const OUTPUT = `[INFO ] model.cpp:626  - load model.safetensors
  |==================================================| 2641/2641 - 850.34it/s
[INFO ] stable-diffusion.cpp:5305 - generating image: 1/1 - seed 42
\r  |================>                                 | 1/3 - 13.60s/it\r  |=================================>                | 2/3 - 12.50s/it\r  |==================================================| 3/3 - 1.25it/s
[INFO ] stable-diffusion.cpp:5317 - sampling completed, taking 26.90s
[INFO ] stable-diffusion.cpp:5335 - latent 1 decoded, taking 29.31s
`;

test("times of steps and decode are read from stable-diffusion.cpp's bars in either unit; other bars are ignored", () => {
  expect(sdCppTimes(OUTPUT, 3)).toEqual({ steps: [13.6, 12.5, 0.8], decode: 29.31 });
  expect(sdCppTimes("error", 3)).toEqual({ steps: [], decode: undefined });
});
