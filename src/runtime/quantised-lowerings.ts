import { addDims, type Dim, divideDims, mulDims } from "../graph/dim.ts";
import { type Emitter, lower } from "../graph/onnx/emitter.ts";
import { type QuantisedKernel, type QuantisedWeight, quantisedConvOp, quantisedLinearOp } from "../graph/ops/quantised.ts";
import { fixedSize, size, type Tensor } from "../graph/tensor.ts";

const UINT8 = 2; // TensorProto.DataType

/** What stands for zero in a weight of 8 bits. */
const zeroOf = ({ weight }: Pick<QuantisedWeight, "weight">, e: Emitter): string =>
  weight.entry.dtype === "U8" ? middle(e) : "";

/** The middle of what an unsigned byte holds. */
const middle = (e: Emitter): string => e.node("Cast", [e.node("Squeeze", [e.ints([128])])], { attrs: { to: UINT8 } });

/** Most strips that a picture is cut into. */
const STRIPS = 8;

/** Layers in 8 bits, as the processor multiplies whole numbers. */
export const quantisedLowerings = [
  // Rows are brought to one range before: the product knows one scale for all of them, which is then known beforehand.
  lower(quantisedLinearOp, ({ attrs }, [x, bias], e) => {
    const most = e.node("ReduceMax", [e.node("Abs", [x!]), e.ints([-1])]);
    const range = e.node("Max", [most, e.floats([1e-20], [])]); // a row of zeros has none
    const [scale, zero] = [e.floats([1 / 127], []), middle(e)];
    const rounded = e.node("QuantizeLinear", [e.node("Div", [x!, range]), scale, zero]);
    const inputs = [rounded, e.weight(attrs.weight).name, scale, e.weight(attrs.scales).name, zero, zeroOf(attrs, e)];
    const product = e.node("MatMulIntegerToFloat", inputs, { domain: "com.microsoft" });
    const y = e.node("Mul", [product, range]);
    return bias === undefined ? y : e.node("Add", [y, bias]);
  }),
  // Windows are gathered in 8 bits, a quarter of what they are in float32, with the channels side by side, and for a strip of rows at a time.
  lower(quantisedConvOp, (y, [x, bias], e) => {
    const { weight, scales, pads } = y.attrs;
    const weightZero = zeroOf(y.attrs, e);
    const rounded = e.node("DynamicQuantizeLinear", [x!], { outputs: 3 });
    const [scale, zero] = [`${rounded}_1`, `${rounded}_2`];
    const turned = e.node("Transpose", [rounded], { attrs: { perm: [0, 2, 3, 1] } });
    const [top, left, bottom, right] = pads;
    const around = e.ints([0, top, left, 0, 0, bottom, right, 0]);
    const padded = pads.some((n) => n > 0) ? e.node("Pad", [turned, around, zero]) : turned;
    const rest = [e.weight(weight).name, scale, e.weight(scales).name, zero, weightZero, ...(bias === undefined ? [] : [bias])];
    const strips = windowStrips(y, padded, e).map((windows) =>
      e.node("MatMulIntegerToFloat", [windows, ...rest], { domain: "com.microsoft" }),
    );
    const product = strips.length === 1 ? strips[0]! : e.node("Concat", strips, { attrs: { axis: 1 } });
    return e.node("Transpose", [product], { attrs: { perm: [0, 3, 1, 2] } });
  }),
];

/**
 * What the kernel sees of `padded` [B, H + pads, W + pads, C] for each pixel of the result: [B, rows, W', k·k·C] for each strip of equal
 * height, of which there are as many as the height is known to divide into. Pixels are gathered by their numbers, which layers of one size
 * share: one copy, where slices put side by side are two.
 */
function windowStrips(y: Tensor<QuantisedKernel>, padded: string, e: Emitter): string[] {
  const { kernel, stride, pads } = y.attrs;
  if (kernel === 1 && stride === 1) return [padded];
  const [top, left, bottom, right] = pads;
  const x = y.inputs[0]!;
  const [batch, channels] = [size(x, 0), fixedSize(x, 1)];
  const [width, across] = [size(y, 3), addDims(size(x, 3), left + right)];
  const count = stride === 1 ? stripsOf(size(y, 2)) : 1;
  const rows = divideDims(size(y, 2), count)!;
  const numbers = numbersInWindows(rows, width, across, y.attrs, e);
  const seen = count === 1 ? addDims(size(x, 2), top + bottom) : addDims(rows, kernel - 1);
  return Array.from({ length: count }, (_, strip) => {
    const from = mulDims(rows, strip);
    const part = count === 1 ? padded : e.node("Slice", [padded, e.dims([from]), e.dims([addDims(from, seen)]), e.ints([1])]);
    const pixels = e.node("Reshape", [part, e.dims([batch, mulDims(seen, across), channels])]);
    const windows = e.node("Gather", [pixels, numbers], { attrs: { axis: 1 } });
    return e.node("Reshape", [windows, e.dims([batch, rows, width, kernel ** 2 * channels])]);
  });
}

/** Which pixels of a picture that is `across` wide the kernel sees at each place of the result: [rows · width · k · k]. */
function numbersInWindows(rows: Dim, width: Dim, across: Dim, { kernel, stride }: QuantisedKernel, e: Emitter): string {
  const every = (n: Dim, shape: readonly number[]): string => {
    const to = e.node("Squeeze", [e.dims([mulDims(n, stride)])]);
    const [from, step] = [0, stride].map((value) => e.node("Squeeze", [e.ints([value])])) as [string, string];
    return e.node("Reshape", [e.node("Range", [from, to, step]), e.ints(shape)]);
  };
  const wide = e.dims([across]);
  const within = Array.from({ length: kernel ** 2 }, (_, place) => place);
  const down = e.node("Mul", [e.ints(within.map((place) => Math.floor(place / kernel))), wide]);
  const inWindow = e.node("Add", [down, e.ints(within.map((place) => place % kernel))]);
  const corners = e.node("Add", [e.node("Mul", [every(rows, [-1, 1, 1]), wide]), every(width, [-1, 1])]);
  return e.node("Reshape", [e.node("Add", [corners, inWindow]), e.ints([-1])]);
}

function stripsOf(height: Dim): number {
  let count = 1;
  if (typeof height !== "number") while (count < STRIPS && divideDims(height, 2 * count) !== undefined) count *= 2;
  return count;
}
