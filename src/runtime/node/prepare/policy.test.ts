import { expect, test } from "vitest";
import { gelu } from "../../../graph/ops/activation.ts";
import { attention } from "../../../graph/ops/attention.ts";
import { layerNorm } from "../../../graph/ops/normalise.ts";
import { input } from "../../../graph/ops/source.ts";
import { sharesRange } from "./policy.ts";

test("rows behind a layer norm or attention in the UNet share a range; outputs of a gate and rows of other models do not", () => {
  const x = input("x", [1, 4, 8]);
  const norm = layerNorm(x, input("w", [8]), input("b", [8]), 1e-5);
  const mixed = attention(x, x, x, { heads: 2, causal: false });
  expect([norm, mixed, gelu(x), x].map((t) => sharesRange(t, "unet"))).toEqual([true, true, false, false]);
  expect([norm, mixed].map((t) => sharesRange(t, "text_encoder"))).toEqual([false, false]);
});
