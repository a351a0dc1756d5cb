import { conv2d } from "../graph/ops/convolution.ts";
import { detach } from "../graph/ops/detach.ts";
import { add, div, mul, relu, sqrt } from "../graph/ops/elementwise.ts";
import { reduceSum, reshape } from "../graph/ops/layout.ts";
import { matmul } from "../graph/ops/matrix.ts";
import { constant } from "../graph/ops/source.ts";
import { fixedSize, type Tensor } from "../graph/tensor.ts";
import type { Weights } from "../graph/weights.ts";

interface Layer {
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
}

const LAYERS: readonly Layer[] = [
  { out: 32, kernel: 4, stride: 2 },
  { out: 64, kernel: 4, stride: 2 },
  { out: 96, kernel: 4, stride: 2 },
  { out: 96, kernel: 3, stride: 1 },
];
const SLOPE = 0.2;
/** Keeps the size of values about equal from layer to layer. */
const GAIN = 1.4;
const SQUARINGS = 9;

export interface PatchScores {
  /** [B, 1, H/8, W/8]: above 0 means drawn, below 0 made. */
  readonly scores: Tensor;
  /** Values behind each layer. */
  readonly features: readonly Tensor[];
}

/**
 * Judges of patches of pictures whether they are drawn or made: PatchGAN (Isola et al. 2016, arXiv 1611.07004, section 3.2.2) with spectral
 * normalisation (Miyato et al. 2018, arXiv 1802.05957).
 * @param x [B, 3, H, W] in [-1, 1]
 */
export function patchJudge(x: Tensor, w: Weights): PatchScores {
  const features: Tensor[] = [];
  for (const [i, { out, kernel, stride }] of LAYERS.entries()) {
    const y = convolve(x, w.at("layers", i), { out, kernel, stride }, true);
    x = mul(add(mul(relu(y), 1 - SLOPE), mul(y, SLOPE)), GAIN);
    features.push(x);
  }
  return { scores: convolve(x, w.at("out"), { out: 1, kernel: 3, stride: 1 }, false), features };
}

function convolve(x: Tensor, w: Weights, { out, kernel, stride }: Layer, spectral: boolean): Tensor {
  const channels = fixedSize(x, 1);
  const init = { uniform: 1 / Math.sqrt(channels * kernel * kernel) };
  const weight = w.get("weight", [out, channels, kernel, kernel], init);
  const scaled = spectral ? div(weight, largestSingularValue(reshape(weight, [out, channels * kernel * kernel]))) : weight;
  return conv2d(x, scaled, w.get("bias", [out], init), { stride, pads: [1, 1, 1, 1] });
}

/**
 * The largest singular value of a matrix, []: power iteration on its Gram matrix, which squaring makes of 512 steps without a state that would have
 * to be kept from update to update. The gradient takes the singular vectors as fixed, as torch's spectral_norm does.
 */
function largestSingularValue(matrix: Tensor): Tensor {
  const rows = fixedSize(matrix, 0);
  const fixed = detach(matrix);
  let gram = matmul(fixed, fixed, { transB: true });
  const unit = (x: Tensor): Tensor => div(x, sqrt(add(reduceSum(mul(x, x)), 1e-20)));
  for (let i = 0; i < SQUARINGS; i++) {
    gram = unit(gram);
    gram = matmul(gram, gram);
  }
  const start = constant(
    Array.from({ length: rows }, (_, i) => Math.cos(i) + 0.5),
    [rows, 1],
  );
  const left = detach(unit(matmul(unit(gram), start)));
  const right = matmul(matrix, left, { transA: true });
  return sqrt(reduceSum(mul(right, right)));
}
