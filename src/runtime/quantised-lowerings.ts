import { addDims, type Dim, divideDims, mulDims } from "../graph/dim.ts";
import { type Emitter, lower } from "../graph/onnx/emitter.ts";
import { type Layout, type Pixels, pixelsOf } from "../graph/ops/channels.ts";
import {
  type QuantisedAttention,
  type QuantisedKernel,
  type QuantisedWeight,
  quantisedAttentionOp,
  quantisedConvOp,
  quantisedLinearOp,
  quantisedUpsampledConvOp,
} from "../graph/ops/quantised.ts";
import { fixedSize, size } from "../graph/tensor.ts";

type Pads = QuantisedKernel["pads"];

const [UINT8, INT8] = [2, 3]; // TensorProto.DataType

/** What stands for zero in a weight of 8 bits. */
const zeroOf = ({ weight }: Pick<QuantisedWeight, "weight">, e: Emitter): string =>
  weight.entry.dtype === "U8" ? middle(e) : "";

/** The middle of what an unsigned byte holds. */
const middle = (e: Emitter): string => e.node("Cast", [e.node("Squeeze", [e.ints([128])])], { attrs: { to: UINT8 } });

/** Most strips that a picture is cut into. */
const STRIPS = 8;
/** Strips that the rows of attention are cut into. */
const ATTENTION_STRIPS = 16;

/** Layers in 8 bits, as the processor multiplies whole numbers. */
export const quantisedLowerings = [
  // Rows are brought to one range before: the product knows one scale for all of them, which is then known beforehand.
  lower(quantisedLinearOp, ({ attrs }, [x, bias], e) => {
    const most = e.node("ReduceMax", [e.node("Abs", [x!]), e.ints([-1])]);
    const range = e.node("Max", [most, e.floats([1e-20], [])]); // a row of zeros has none
    const [scale, zero] = [e.floats([1 / 127], []), middle(e)];
    const bytes = e.node("QuantizeLinear", [e.node("Div", [x!, range]), scale, zero]);
    const product = productOf(bytes, { bytes, scale, zero }, attrs, undefined, e);
    const y = e.node("Mul", [product, range]);
    return bias === undefined ? y : e.node("Add", [y, bias]);
  }),
  // Windows are gathered in 8 bits, a quarter of what they are in float32, with the channels side by side, and for a strip of rows at a time.
  lower(quantisedConvOp, (y, [x, bias], e) => {
    const { pads, kernel, stride, layout } = y.attrs;
    const one = toBytes(x!, e);
    const product = (windows: string): string => productOf(windows, one, y.attrs, bias, e);
    const source = padded(one, pixelsOf(y.inputs[0]!, layout), layout, pads, e);
    if (kernel === 1 && stride === 1) return product(source.pixels);
    const { height: rows, width } = pixelsOf(y, "channelsLast");
    const strips = stripsOf(rows, stride === 1 ? STRIPS : 1);
    return inStrips(strips, e, (from) => product(windowsOf(source, from, { rows: strips.rows, width, kernel, stride }, e)));
  }),
  // Four pixels of the result meet in each corner between pixels of the picture, and see the four around it. Those of all corners are cut to size.
  lower(quantisedUpsampledConvOp, (y, [x, bias], e) => {
    const { layout } = y.attrs;
    const from = pixelsOf(y.inputs[0]!, layout);
    const { channels: out } = pixelsOf(y, "channelsLast");
    const sources = inTwoBytes(x!, undefined, e).map((part) => ({
      ...part,
      ...padded(part, from, layout, [1, 1, 1, 1], e),
    }));
    const shift = bias && e.node("Concat", [bias, bias, bias, bias], { attrs: { axis: 0 } });
    const strips = stripsOf(from.height, STRIPS);
    const seen = { rows: addDims(strips.rows, 1), width: addDims(from.width, 1), kernel: 2, stride: 1 };
    const [high, wide] = [mulDims(seen.rows, 2), mulDims(seen.width, 2)];
    return inStrips(strips, e, (start) => {
      const parts = sources.map((source, i) =>
        productOf(windowsOf(source, start, seen, e), source, y.attrs, i === 0 ? shift : undefined, e),
      );
      const sum = parts.reduce((a, b) => e.node("Add", [a, b]));
      const corners = e.node("Reshape", [sum, e.dims([from.batch, seen.rows, seen.width, 2, 2 * out])]);
      const inRows = e.node("Transpose", [corners], { attrs: { perm: [0, 1, 3, 2, 4] } });
      const all = e.node("Reshape", [inRows, e.dims([from.batch, high, wide, out])]);
      return e.node("Slice", [all, e.ints([1, 1]), e.dims([addDims(high, -1), addDims(wide, -1)]), e.ints([1, 2])]);
    });
  }),
  // Scores are made for a strip of rows at a time. The strips need not be of one height, and with a few rows more none is empty.
  lower(quantisedAttentionOp, ({ inputs, attrs }, [q, k, v], e) => {
    const [queries, width] = [inputs[0]!, fixedSize(inputs[0]!, -1)];
    const scores = toBytes(q!, e);
    const keys = symmetric(k!, [0, 1, 2], attrs, e);
    const values = symmetric(v!, [0, 1], attrs, e);
    const turned = { ...keys, bytes: e.node("Transpose", [keys.bytes], { attrs: { perm: [0, 2, 1] } }) };
    const scaled = { ...turned, scale: e.node("Mul", [keys.scale, e.floats([1 / Math.sqrt(width)], [])]) };
    const zero = e.node("Cast", [e.node("Squeeze", [e.ints([0])])], { attrs: { to: UINT8 } });
    const [tokens, more] = [size(queries, 1), ATTENTION_STRIPS - 1];
    const longer = e.node("Pad", [scores.bytes, e.ints([0, 0, 0, 0, more, 0]), scores.zero]);
    const place = (i: number): string => e.node("Div", [e.dims([mulDims(addDims(tokens, more), i)]), e.ints([ATTENTION_STRIPS])]);
    const strips = Array.from({ length: ATTENTION_STRIPS }, (_, i) => {
      const rows = e.node("Slice", [longer, place(i), place(i + 1), e.ints([1])]);
      const weights = e.node("Softmax", [times({ ...scores, bytes: rows }, scaled, e)], { attrs: { axis: -1 } });
      const most = e.node("ReduceMax", [weights, e.ints([-1])]);
      const parts = inTwoBytes(e.node("Div", [weights, most]), { scale: e.floats([1 / 255], []), zero }, e);
      return e.node("Mul", [parts.map((part) => times(part, values, e)).reduce((a, b) => e.node("Add", [a, b])), most]);
    });
    return e.node("Slice", [e.node("Concat", strips, { attrs: { axis: 1 } }), e.ints([0]), e.dims([tokens]), e.ints([1])]);
  }),
];

/** A picture in 8 bits. */
interface Bytes {
  readonly bytes: string;
  readonly scale: string;
  readonly zero: string;
}

function toBytes(x: string, e: Emitter): Bytes {
  const bytes = e.node("DynamicQuantizeLinear", [x], { outputs: 3 });
  return { bytes, scale: `${bytes}_1`, zero: `${bytes}_2` };
}

/** The product of bytes, as float32, with what is added to each row. */
function productOf(
  bytes: string,
  { scale, zero }: Bytes,
  { weight, scales }: QuantisedWeight,
  bias: string | undefined,
  e: Emitter,
): string {
  const rest = [e.weight(scales).name, zero, zeroOf({ weight }, e), ...(bias === undefined ? [] : [bias])];
  return e.node("MatMulIntegerToFloat", [bytes, e.weight(weight).name, scale, ...rest], { domain: "com.microsoft" });
}

/** As the sum of two in 8 bits: the second is what the first has rounded away, at most half of a step. */
function inTwoBytes(x: string, known: Pick<Bytes, "scale" | "zero"> | undefined, e: Emitter): Bytes[] {
  const first = known === undefined ? toBytes(x, e) : { ...known, bytes: e.node("QuantizeLinear", [x, known.scale, known.zero]) };
  const rest = e.node("Sub", [x, e.node("DequantizeLinear", [first.bytes, first.scale, first.zero])]);
  const [scale, zero] = [e.node("Mul", [first.scale, e.floats([1 / 254], [])]), middle(e)];
  return [first, { bytes: e.node("QuantizeLinear", [rest, scale, zero]), scale, zero }];
}

/** As the second factor of a product, with one scale for what `axes` leave. */
function symmetric(x: string, axes: readonly number[], { unsigned }: QuantisedAttention, e: Emitter): Bytes {
  const most = e.node("ReduceMax", [e.node("Abs", [x]), e.ints(axes)], { attrs: { keepdims: 0 } });
  const range = e.node("Max", [most, e.floats([1e-20], [])]);
  const zero = unsigned ? middle(e) : e.node("Cast", [e.node("Squeeze", [e.ints([0])])], { attrs: { to: INT8 } });
  const step = e.floats([1 / 127], []);
  return {
    bytes: e.node("QuantizeLinear", [e.node("Div", [x, range]), step, zero]),
    scale: e.node("Mul", [range, step]),
    zero,
  };
}

/** The product of two matrices of bytes as float32. */
const times = (a: Bytes, b: Bytes, e: Emitter): string =>
  e.node("MatMulIntegerToFloat", [a.bytes, b.bytes, a.scale, b.scale, a.zero, b.zero], { domain: "com.microsoft" });

/** A picture in 8 bits with zeros around it, channels last. */
interface Padded {
  /** [B, H + pads, W + pads, C] */
  readonly pixels: string;
  readonly size: Pixels;
}

function padded(
  { bytes, zero }: Bytes,
  { batch, height, width, channels }: Pixels,
  layout: Layout,
  pads: Pads,
  e: Emitter,
): Padded {
  const turned = layout === "channelsFirst" ? e.node("Transpose", [bytes], { attrs: { perm: [0, 2, 3, 1] } }) : bytes;
  const [top, left, bottom, right] = pads;
  const size = { batch, height: addDims(height, top + bottom), width: addDims(width, left + right), channels };
  if (!pads.some((n) => n > 0)) return { pixels: turned, size };
  return { pixels: e.node("Pad", [turned, e.ints([0, top, left, 0, 0, bottom, right, 0]), zero]), size };
}

/** Windows of a kernel at `rows` times `width` places. */
interface Seen extends Pick<QuantisedKernel, "kernel" | "stride"> {
  readonly rows: Dim;
  readonly width: Dim;
}

/**
 * What a kernel sees at each place: [B, rows, width, k·k·C]. Pixels are gathered by their numbers, which layers of one size share: one
 * copy, where slices put side by side are two.
 * @param from the first row of a strip; undefined where it is the whole picture
 */
function windowsOf({ pixels, size }: Padded, from: Dim | undefined, seen: Seen, e: Emitter): string {
  const { batch, width: across, channels } = size;
  const { rows, width, kernel } = seen;
  const high = from === undefined ? size.height : addDims(rows, kernel - 1);
  const part =
    from === undefined ? pixels : e.node("Slice", [pixels, e.dims([from]), e.dims([addDims(from, high)]), e.ints([1])]);
  const flat = e.node("Reshape", [part, e.dims([batch, mulDims(high, across), channels])]);
  const windows = e.node("Gather", [flat, numbersInWindows(across, seen, e)], { attrs: { axis: 1 } });
  return e.node("Reshape", [windows, e.dims([batch, rows, width, kernel ** 2 * channels])]);
}

/** Which pixels of a picture that is `across` wide the kernel sees at each place of the result: [rows · width · k · k]. */
function numbersInWindows(across: Dim, { rows, width, kernel, stride }: Seen, e: Emitter): string {
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

interface Strips {
  readonly count: number;
  /** Of each strip. */
  readonly rows: Dim;
}

/** Strips of equal height, of which there are as many as the height is known to divide into. */
function stripsOf(height: Dim, most: number): Strips {
  let count = 1;
  if (typeof height !== "number") while (count < most && divideDims(height, 2 * count) !== undefined) count *= 2;
  return { count, rows: divideDims(height, count)! };
}

/** @param strip is given the first row, or undefined where one strip is all */
function inStrips({ count, rows }: Strips, e: Emitter, strip: (from: Dim | undefined) => string): string {
  if (count === 1) return strip(undefined);
  const strips = Array.from({ length: count }, (_, i) => strip(mulDims(rows, i)));
  return e.node("Concat", strips, { attrs: { axis: 1 } });
}
