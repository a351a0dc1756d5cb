import { hardSwish } from "../../graph/ops/activation.ts";
import { add, mul, relu, sigmoid } from "../../graph/ops/elementwise.ts";
import { reduceMean } from "../../graph/ops/reduce.ts";
import { depthToSpace, upsampleBilinear } from "../../graph/ops/resample.ts";
import { fixedSize, type Tensor } from "../../graph/tensor.ts";
import type { Weights } from "../../graph/weights.ts";
import { conv2d, depthwiseConv2d } from "../../nn/layers.ts";

/** Side of the picture that the selfie network takes, in pixels. */
export const SELFIE_SIDE = 256;

interface Block {
  readonly wide: number;
  readonly out: number;
  readonly kernel: number;
  readonly halves?: boolean;
  /** Channels in the middle of the gate; none when absent. */
  readonly gate?: number;
  readonly active: (x: Tensor) => Tensor;
}

const BLOCKS: readonly Block[] = [
  { wide: 16, out: 16, kernel: 3, halves: true, gate: 8, active: relu },
  { wide: 72, out: 24, kernel: 3, halves: true, active: relu },
  { wide: 88, out: 24, kernel: 3, active: relu },
  { wide: 96, out: 32, kernel: 5, halves: true, gate: 24, active: hardSwish },
  { wide: 128, out: 32, kernel: 5, gate: 32, active: hardSwish },
  { wide: 128, out: 32, kernel: 5, gate: 32, active: hardSwish },
  { wide: 96, out: 32, kernel: 5, gate: 24, active: hardSwish },
  { wide: 96, out: 32, kernel: 5, gate: 24, active: hardSwish },
];

/**
 * Share of each pixel that belongs to a person: MediaPipe's selfie segmentation, the general network.
 *
 * @param x [1, 3, 256, 256] red, green, blue from 0 to 1
 * @param w keys: stem, blocks.N, head, decoder.N, out
 * @returns [1, 1, 256, 256], 0 to 1
 * @see Howard et al. 2019, "Searching for MobileNetV3" (arXiv 1905.02244), for the encoder
 */
export function selfie(x: Tensor, w: Weights): Tensor {
  const stem = hardSwish(conv2d(x, w.at("stem"), { out: 16, kernel: 3, stride: 2, pad: [0, 0, 1, 1] }));
  const seen = [stem];
  for (const [i, settings] of BLOCKS.entries()) seen.push(block(seen.at(-1)!, w.at("blocks", i), settings));
  const coarse = seen.at(-1)!;
  const head = w.at("head");
  const gate = sigmoid(conv2d(mean(coarse), head.at("gate"), { out: 128, kernel: 1 }));
  let y = mul(relu(conv2d(coarse, head.at("conv"), { out: 128, kernel: 1 })), gate);
  // seen[0] is the stem's, seen[i + 1] that of block i
  for (const [i, skip] of [seen[3]!, seen[1]!, stem].entries()) y = decoderStage(y, skip, w.at("decoder", i));
  return sigmoid(depthToSpace(conv2d(y, w.at("out"), { out: 4, kernel: 1 }), 2));
}

const mean = (x: Tensor): Tensor => reduceMean(x, [2, 3], true);

/** A factor for each channel, seen in the means of all. */
function gateOf(x: Tensor, w: Weights, width: number): Tensor {
  const reduced = relu(conv2d(mean(x), w.at("reduce"), { out: width, kernel: 1 }));
  return sigmoid(conv2d(reduced, w.at("expand"), { out: fixedSize(x, 1), kernel: 1 }));
}

function block(x: Tensor, w: Weights, { wide, out, kernel, halves = false, gate, active }: Block): Tensor {
  const around = (kernel - 1) / 2;
  const pad = halves ? ([around - 1, around - 1, around, around] as const) : around;
  let y = active(conv2d(x, w.at("expand"), { out: wide, kernel: 1 }));
  y = active(depthwiseConv2d(y, w.at("depthwise"), { kernel, stride: halves ? 2 : 1, pad }));
  if (gate !== undefined) y = mul(y, gateOf(y, w.at("gate"), gate));
  y = conv2d(y, w.at("project"), { out, kernel: 1 });
  return !halves && fixedSize(x, 1) === out ? add(y, x) : y;
}

/** Twice as large, with what was seen at that size let in through a gate. */
function decoderStage(x: Tensor, skip: Tensor, w: Weights): Tensor {
  const out = fixedSize(skip, 1);
  const up = conv2d(upsampleBilinear(x, 2), w.at("up"), { out, kernel: 1 });
  const open = mul(skip, gateOf(add(skip, up), w.at("gate"), out));
  const y = relu(conv2d(add(open, up), w.at("mix"), { out, kernel: 1 }));
  return add(y, relu(depthwiseConv2d(y, w.at("depthwise"), { kernel: 3, pad: 1 })));
}
