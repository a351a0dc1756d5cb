import { expect, test } from "vitest";
import { namedDim } from "../graph/dim.ts";
import { Recorder } from "../graph/recorder.ts";
import { sdxlUNet } from "../testing/sdxl-unet.ts";

test("the UNet of SDXL asks for the 1,680 weights and 2,567,463,684 parameters of diffusers' model", () => {
  const recorder = new Recorder();
  const noise = sdxlUNet(recorder);
  expect(noise.shape).toEqual([namedDim("batch"), 4, namedDim("height"), namedDim("width")]);
  expect(recorder.params.size).toBe(1680);
  const parameters = [...recorder.params.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  expect(parameters).toBe(2_567_463_684);
});
