import type { OnnxHeader, OnnxValue } from "./onnx-header.ts";

/** A detector that gives five points: SCRFD. */
export interface PackDetector {
  readonly kind: "detector";
  readonly input: string;
  /** Scores, boxes, points, each of strides 8, 16, 32. */
  readonly outputs: readonly string[];
  /** The only size that it takes, if there is one. */
  readonly size?: { readonly width: number; readonly height: number };
}

/** A recogniser: ArcFace or another that takes aligned faces of 112 pixels. */
export interface PackRecogniser {
  readonly kind: "recogniser";
  readonly input: string;
  readonly output: string;
  /** Numbers in a vector; undefined if the file does not say. */
  readonly width?: number;
  /** Whether it takes values from 0 to 255, and brings them into its range by itself. */
  readonly normalises: boolean;
}

/** A network of another kind, and why it is neither. */
export interface OtherNetwork {
  readonly kind: "other";
  readonly why: string;
}

export type PackNetwork = PackDetector | PackRecogniser | OtherNetwork;

const other = (why: string): OtherNetwork => ({ kind: "other", why });
const text = ({ name, shape }: OnnxValue): string => `${name} [${shape?.map((d) => d ?? "?").join(", ") ?? "?"}]`;

/**
 * Tells what a network of a pack does, from its inputs and outputs.
 * @see deepinsight/insightface python-package/insightface/model_zoo/model_zoo.py ModelRouter, scrfd.py SCRFD._init_vars
 */
export function packNetworkOf({ inputs, outputs, first }: OnnxHeader): PackNetwork {
  const [input] = inputs;
  if (inputs.length !== 1 || input === undefined)
    return other(`it has ${inputs.length} inputs (${inputs.map(text).join(", ")}), and one is expected`);
  if (!input.isFloat32 || input.shape?.length !== 4 || (input.shape[1] ?? 3) !== 3)
    return other(`its input ${text(input)} is no picture, [1, 3, height, width] in float32`);
  if (input.shape[0] !== undefined && input.shape[0] !== 1)
    return other(`its input ${text(input)} takes ${input.shape[0]} pictures at once`);
  if (outputs.some(({ isFloat32 }) => !isFloat32)) return other("its outputs are not float32");
  const [, , height, width] = input.shape;
  if (outputs.length === 9) return detectorOf(input, outputs, width, height);
  if (outputs.length === 6) return other("it is a detector that gives no points; take one whose name ends in kps");
  if (outputs.length === 15 || outputs.length === 10) return other("its boxes are not those of SCRFD");
  if (outputs.length !== 1) return other(`it has ${outputs.length} outputs, and 9 or 1 are expected`);
  if (width !== 112 || height !== 112) return other(`its input ${text(input)} is not an aligned face of 112 x 112 pixels`);
  const [output] = outputs as [OnnxValue];
  const { shape } = output;
  const isVector = shape === undefined || (shape.length === 2 && (shape[0] ?? 1) === 1);
  if (!isVector) return other(`its output ${text(output)} is no vector for each face`);
  const vector = shape?.[1];
  return {
    kind: "recogniser",
    input: input.name,
    output: output.name,
    ...(vector !== undefined && { width: vector }),
    normalises: normalises(first),
  };
}

function detectorOf(
  input: OnnxValue,
  outputs: readonly OnnxValue[],
  width: number | undefined,
  height: number | undefined,
): PackDetector | OtherNetwork {
  for (const [i, output] of outputs.entries()) {
    const expected = [1, 4, 10][Math.floor(i / 3)]!;
    const last = output.shape?.at(-1);
    if ((output.shape?.length ?? 2) < 2 || (last !== undefined && last !== expected))
      return other(`its output ${text(output)} should end in ${expected}`);
  }
  const outside = [width, height].find((side) => side !== undefined && (side % 32 !== 0 || side > 4096));
  if (outside !== undefined) return other(`its input ${text(input)} has a side that is no multiple of 32`);
  if ((width === undefined) !== (height === undefined)) return other(`its input ${text(input)} has one free side`);
  return {
    kind: "detector",
    input: input.name,
    outputs: outputs.map(({ name }) => name),
    ...(width !== undefined && height !== undefined && { size: { width, height } }),
  };
}

/** InsightFace's rule: the first nodes subtract and multiply, by their names; newer exporters begin these with a slash. Operations say it, too. */
function normalises(first: OnnxHeader["first"]): boolean {
  const has = (...starts: readonly string[]): boolean =>
    first.some(({ name, op }) => op === starts[0] || starts.some((start) => name.replace(/^\//, "").startsWith(start)));
  return has("Sub", "_minus") && has("Mul", "_mul");
}
