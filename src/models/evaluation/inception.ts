import { addDims } from "../../graph/dim.ts";
import { averageWindow } from "../../graph/ops/average-window.ts";
import * as convolution from "../../graph/ops/convolution.ts";
import { add, div, mul, relu, sqrt, sub } from "../../graph/ops/elementwise.ts";
import { concat, pad, reshape } from "../../graph/ops/layout.ts";
import { maxPool } from "../../graph/ops/max-pool.ts";
import { reduceMean } from "../../graph/ops/reduce.ts";
import { fixedSize, size, type Tensor } from "../../graph/tensor.ts";
import type { Weights } from "../../graph/weights.ts";
import type { InceptionConfig } from "./inception-config.ts";

/** Side of the pictures that Inception takes, in pixels. */
export const INCEPTION_SIDE = 299;

const EPS = 1e-3;

/** One convolution by its name, or several beside one another behind the same one before. */
type Step = string | readonly string[];

/**
 * Features of FID: TensorFlow's Inception v3 of 2015, behind its last mean over places. Szegedy et al. 2015 (arXiv 1512.00567); it differs from torchvision's in that its means
 * leave out what lies beyond the border, and in that its last block has a maximum.
 * @param x [B, 3, H, W] of fixed sizes, (value - 128) / 128; 299 x 299 for FID
 * @param w keys as in pytorch-fid's file
 * @returns [B, features]: 2,048 for the published weights
 */
export function inception(x: Tensor, w: Weights, config: InceptionConfig): Tensor {
  const conv = (y: Tensor, path: string, how: { stride?: number; valid?: boolean } = {}): Tensor =>
    convNormRelu(y, w, path, config, how);
  let y = conv(x, "Conv2d_1a_3x3", { stride: 2, valid: true });
  y = conv(conv(y, "Conv2d_2a_3x3", { valid: true }), "Conv2d_2b_3x3");
  y = conv(conv(maxPool(y, 3, 2), "Conv2d_3b_1x1"), "Conv2d_4a_3x3", { valid: true });
  y = maxPool(y, 3, 2);

  /** A block: branches of steps, and one that pools first. Steps named `last` halve the picture. */
  const block = (name: string, branches: readonly (readonly Step[])[], pooled: (y: Tensor) => Tensor, halves = false): void => {
    const run = (from: Tensor, steps: readonly Step[]): Tensor =>
      steps.reduce<Tensor>((z, step, i) => {
        if (typeof step !== "string")
          return concat(
            step.map((part) => conv(z, `${name}.${part}`)),
            1,
          );
        const last = halves && i === steps.length - 1;
        return conv(z, `${name}.${step}`, last ? { stride: 2, valid: true } : {});
      }, from);
    const pool = pooled(y);
    y = concat([...branches.map((steps) => run(y, steps)), halves ? pool : conv(pool, `${name}.branch_pool`)], 1);
  };
  const mean = (z: Tensor): Tensor => averageWindow(z, 3);
  const most = (z: Tensor): Tensor => maxPool(z, 3, 2);

  const dbl = (count: number, root = "branch3x3dbl"): string[] => Array.from({ length: count }, (_, i) => `${root}_${i + 1}`);
  for (const name of ["Mixed_5b", "Mixed_5c", "Mixed_5d"])
    block(name, [["branch1x1"], ["branch5x5_1", "branch5x5_2"], dbl(3)], mean);
  block("Mixed_6a", [["branch3x3"], dbl(3)], most, true);
  for (const name of ["Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"])
    block(name, [["branch1x1"], dbl(3, "branch7x7"), dbl(5, "branch7x7dbl")], mean);
  block("Mixed_7a", [["branch3x3_1", "branch3x3_2"], dbl(4, "branch7x7x3")], most, true);
  const last = [
    ["branch1x1"],
    ["branch3x3_1", ["branch3x3_2a", "branch3x3_2b"]],
    ["branch3x3dbl_1", "branch3x3dbl_2", ["branch3x3dbl_3a", "branch3x3dbl_3b"]],
  ];
  block("Mixed_7b", last, mean);
  block("Mixed_7c", last, maxAround);
  return reduceMean(y, [2, 3]);
}

/** The largest of the 3 x 3 values around each; zeros beyond the border change nothing, since no value is below 0. */
function maxAround(x: Tensor): Tensor {
  const wide = pad(x, 2, 1, addDims(size(x, 2), 2));
  return maxPool(pad(wide, 3, 1, addDims(size(x, 3), 2)), 3, 1);
}

/** Convolution, batch norm and ReLU; the norm is multiplied into the kernel, which the runtime does once. */
function convNormRelu(
  x: Tensor,
  w: Weights,
  path: string,
  config: InceptionConfig,
  { stride = 1, valid = false }: { readonly stride?: number; readonly valid?: boolean },
): Tensor {
  const at = w.at(...path.split("."));
  const { out, kernel } = config.kernelOf(path);
  const bn = at.at("bn");
  const scale = div(bn.get("weight", [out], "ones"), sqrt(add(bn.get("running_var", [out], "ones"), EPS)));
  const shift = sub(bn.get("bias", [out]), mul(bn.get("running_mean", [out]), scale));
  const weight = at.at("conv").get("weight", [out, fixedSize(x, 1), ...kernel]);
  const [down, across] = valid ? [0, 0] : kernel.map((side) => (side - 1) / 2);
  const pads = [down!, across!, down!, across!] as const;
  return relu(convolution.conv2d(x, mul(weight, reshape(scale, [out, 1, 1, 1])), shift, { stride, pads }));
}
