import sharp from "sharp";
import { expect, test } from "vitest";
import { goldenPath } from "../testing/golden.ts";
import { TINY_V1 } from "../testing/tiny-model.ts";
import { PhotoMaker } from "./photomaker.ts";

/** Any Vulkan device will do, such as SwiftShader of Debian's chromium: VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json */
test.skipIf(process.env.VK_ICD_FILENAMES === undefined)(
  "WebGPU draws the processor's picture (skipped unless VK_ICD_FILENAMES names a driver)",
  async () => {
    const draw = async (device: "cpu" | "webgpu"): Promise<{ pixels: Buffer; final: Float32Array }> => {
      await using pm = await PhotoMaker.load({ ...TINY_V1, device, precision: "f32" });
      const photos = [goldenPath("photos", "person_0.png")];
      const request = { prompt: "a photo of a man img", inputIdImages: photos, width: 64, height: 64, seed: 1 };
      const { images, latents } = await pm.generate({ ...request, numInferenceSteps: 2, startMergeStep: 1 });
      return { pixels: await sharp(images[0]!.png).raw().toBuffer(), final: latents.final };
    };
    const [cpu, webgpu] = [await draw("cpu"), await draw("webgpu")];
    expect(webgpu.final).toMatchGolden(cpu.final, 1e-4);
    const differences = cpu.pixels.map((value, i) => Math.abs(value - webgpu.pixels[i]!));
    expect(Math.max(...differences)).toBeLessThanOrEqual(1); // rounding to 8 bits
  },
);
