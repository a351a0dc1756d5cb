import { expect, test } from "vitest";
import { sizeNotices } from "./open-models.ts";

test("a VAE whose latents are not SDXL's is told", () => {
  expect(sizeNotices({ factor: 16 })).toEqual([
    { code: "vae/factor", message: "Each latent of this model covers 16x16 pixels." },
  ]);
  expect(sizeNotices({ factor: 8 })).toEqual([]);
});
