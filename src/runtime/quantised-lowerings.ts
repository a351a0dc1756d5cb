import { addDims, type Dim, divideDims, mulDims } from "../graph/dim.ts";
import { type Emitter, lower } from "../graph/onnx/emitter.ts";
import { type Layout, type Pixels, pixelsOf } from "../graph/ops/channels.ts";
import {
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

/** Makes a constant integer of one byte. */
const byteOf = (value: number, type: number, e: Emitter): string =>
  e.node("Cast", [e.node("Squeeze", [e.ints([value])])], { attrs: { to: type } });
/** Makes the zero point of unsigned bytes: the middle of their range. */
const middle = (e: Emitter): string => byteOf(128, UINT8, e);

/** Largest number of strips that a picture is cut into. */
const STRIPS = 8;
/** Number of strips that the rows of attention are cut into. */
const ATTENTION_STRIPS = 16;

/** Lowerings of 8-bit layers to the processor's integer products. */
export const quantisedLowerings = [
  // The product has one scale for all rows. With a range per row, rows are quantised to [-1, 1], and the product's rows multiplied by the ranges.
  lower(quantisedLinearOp, ({ inputs, attrs }, [x, bias], e) => {
    if (attrs.range === "shared") return product(toBytes(x!, e), weightOf(attrs, e), bias, e);
    const { range, ...rows } = rowsInRange(x!, fixedSize(inputs[0]!, -1), e);
    const y = e.node("Mul", [product(rows, weightOf(attrs, e), undefined, e), range]);
    return bias === undefined ? y : e.node("Add", [y, bias]);
  }),
  // im2col: kernel windows are gathered in 8 bits, a quarter of their size in float32, channels last, for one strip of rows at a time.
  lower(quantisedConvOp, (y, [x, bias], e) => {
    const { pads, kernel, stride, layout } = y.attrs;
    const source = padded(toBytes(x!, e), pixelsOf(y.inputs[0]!, layout), layout, pads, e);
    const times = (windows: Bytes): string => product(windows, weightOf(y.attrs, e), bias, e);
    if (kernel === 1 && stride === 1) return times(source);
    const { height: rows, width } = pixelsOf(y, "channelsLast");
    const strips = stripsOf(rows, stride === 1 ? STRIPS : 1);
    return inStrips(strips, e, (from) => times(windowsOf(source, from, { rows: strips.rows, width, kernel, stride }, e)));
  }),
  // Four pixels of the result for each corner between source pixels (see the drawing in corner-kernel.ts); the outermost row and column on each side are cut off.
  lower(quantisedUpsampledConvOp, (y, [x, bias], e) => {
    const { layout } = y.attrs;
    const from = pixelsOf(y.inputs[0]!, layout);
    const { channels: out } = pixelsOf(y, "channelsLast");
    const sources = inTwoBytes(x!, toBytes(x!, e), e).map((part) => padded(part, from, layout, [1, 1, 1, 1], e));
    const shift = bias && e.node("Concat", [bias, bias, bias, bias], { attrs: { axis: 0 } });
    const strips = stripsOf(from.height, STRIPS);
    const seen = { rows: addDims(strips.rows, 1), width: addDims(from.width, 1), kernel: 2, stride: 1 };
    const [high, wide] = [mulDims(seen.rows, 2), mulDims(seen.width, 2)];
    return inStrips(strips, e, (start) => {
      const parts = sources.map((source, i) =>
        product(windowsOf(source, start, seen, e), weightOf(y.attrs, e), i === 0 ? shift : undefined, e),
      );
      const sum = parts.reduce((a, b) => e.node("Add", [a, b]));
      const corners = e.node("Reshape", [sum, e.dims([from.batch, seen.rows, seen.width, 2, 2 * out])]);
      const inRows = e.node("Transpose", [corners], { attrs: { perm: [0, 1, 3, 2, 4] } });
      const all = e.node("Reshape", [inRows, e.dims([from.batch, high, wide, out])]);
      return e.node("Slice", [all, e.ints([1, 1]), e.dims([addDims(high, -1), addDims(wide, -1)]), e.ints([1, 2])]);
    });
  }),
  // Scores are computed for one strip of rows at a time. Strips may differ in height, and a few rows are added so that none is empty.
  lower(quantisedAttentionOp, ({ inputs, attrs }, [q, k, v], e) => {
    const [queries, width] = [inputs[0]!, fixedSize(inputs[0]!, -1)];
    const rows = toBytes(q!, e);
    const zero = attrs.unsigned ? middle(e) : byteOf(0, INT8, e);
    const keys = inRange(k!, [0, 1, 2], zero, e);
    const values = scaledBy(inRange(v!, [0, 1], zero, e), e);
    const turned = {
      ...scaledBy(keys, e),
      bytes: e.node("Transpose", [keys.bytes], { attrs: { perm: [0, 2, 1] } }),
    };
    const scaled = { ...turned, scale: e.node("Mul", [turned.scale, e.floats([1 / Math.sqrt(width)], [])]) };
    const first = { scale: e.floats([1 / 255], []), zero: byteOf(0, UINT8, e) };
    const [tokens, more] = [size(queries, 1), ATTENTION_STRIPS - 1];
    const longer = e.node("Pad", [rows.bytes, e.ints([0, 0, 0, 0, more, 0]), rows.zero]);
    const place = (i: number): string => e.node("Div", [e.dims([mulDims(addDims(tokens, more), i)]), e.ints([ATTENTION_STRIPS])]);
    const strips = Array.from({ length: ATTENTION_STRIPS }, (_, i) => {
      const bytes = e.node("Slice", [longer, place(i), place(i + 1), e.ints([1])]);
      const weights = e.node("Softmax", [product({ ...rows, bytes }, scaled, undefined, e)], { attrs: { axis: -1 } });
      const most = e.node("ReduceMax", [weights, e.ints([-1])]);
      const shares = e.node("Div", [weights, most]);
      const parts = inTwoBytes(shares, quantised(shares, first, e), e).map((part) => product(part, values, undefined, e));
      return e.node("Mul", [parts.reduce((a, b) => e.node("Add", [a, b])), most]);
    });
    return e.node("Slice", [e.node("Concat", strips, { attrs: { axis: 1 } }), e.ints([0]), e.dims([tokens]), e.ints([1])]);
  }),
];

/** Numbers quantised to 8 bits: each stands for (byte - zero) · scale. */
interface Bytes {
  readonly bytes: string;
  readonly scale: string;
  /** "" stands for 0. */
  readonly zero: string;
}

/** Quantises x with the smallest scale that holds all of it. */
function toBytes(x: string, e: Emitter): Bytes {
  const bytes = e.node("DynamicQuantizeLinear", [x], { outputs: 3 });
  return { bytes, scale: `${bytes}_1`, zero: `${bytes}_2` };
}

const quantised = (x: string, { scale, zero }: Omit<Bytes, "bytes">, e: Emitter): Bytes => ({
  bytes: e.node("QuantizeLinear", [x, scale, zero]),
  scale,
  zero,
});

interface InRange extends Bytes {
  readonly range: string;
}
const rangeOf = (x: string, axes: readonly number[], keep: 0 | 1, e: Emitter): string => {
  const most = e.node("ReduceMax", [e.node("Abs", [x]), e.ints(axes)], { attrs: { keepdims: keep } });
  return e.node("Max", [most, e.floats([1e-20], [])]); // avoids a range of 0 for an array of zeros
};
const step = (e: Emitter): string => e.floats([1 / 127], []);

/** Quantises x divided by its range, its largest absolute value over `axes`. */
function inRange(x: string, axes: readonly number[], zero: string, e: Emitter): InRange {
  const range = rangeOf(x, axes, 0, e);
  return { range, ...quantised(e.node("Div", [x, range]), { scale: step(e), zero }, e) };
}

/** Quantises each row of x, divided by its range, as a block with its own scale, which saves a pass for the division. @param width width of a row */
function rowsInRange(x: string, width: number, e: Emitter): InRange {
  const range = rangeOf(x, [-1], 1, e);
  const [scale, zero] = [step(e), middle(e)];
  const zeros = e.node("Expand", [zero, e.node("Shape", [range])]);
  const bytes = e.node("QuantizeLinear", [x, e.node("Mul", [range, scale]), zeros], { attrs: { axis: -1, block_size: width } });
  return { range, bytes, scale, zero };
}

/** Undoes the division by the range in the scale, for products with one scale, or one for each column. */
const scaledBy = ({ range, scale, ...rest }: InRange, e: Emitter): Bytes => ({
  ...rest,
  scale: e.node("Mul", [range, scale]),
});

/** Quantises x to 16 bits, as a sum of two arrays in 8 bits: the second holds the rounding errors of the first, at most half of a step. */
function inTwoBytes(x: string, first: Bytes, e: Emitter): readonly [Bytes, Bytes] {
  const rest = e.node("Sub", [x, e.node("DequantizeLinear", [first.bytes, first.scale, first.zero])]);
  const scale = e.node("Mul", [first.scale, e.floats([1 / 254], [])]);
  return [first, quantised(rest, { scale, zero: middle(e) }, e)];
}

const weightOf = ({ weight, scales }: QuantisedWeight, e: Emitter): Bytes => ({
  bytes: e.weight(weight).name,
  scale: e.weight(scales).name,
  zero: "",
});

/** The product of two matrices in float32, with a bias added to each row. */
function product(a: Bytes, b: Bytes, bias: string | undefined, e: Emitter): string {
  const inputs = [a.bytes, b.bytes, a.scale, b.scale, a.zero, b.zero, ...(bias === undefined ? [] : [bias])];
  return e.node("MatMulIntegerToFloat", inputs, { domain: "com.microsoft" });
}

/** A zero-padded picture in 8 bits, channels last. */
interface Padded extends Bytes {
  /** [B, H + pads, W + pads, C] */
  readonly size: Pixels;
}

function padded(x: Bytes, { batch, height, width, channels }: Pixels, layout: Layout, pads: Pads, e: Emitter): Padded {
  const turned = layout === "channelsFirst" ? e.node("Transpose", [x.bytes], { attrs: { perm: [0, 2, 3, 1] } }) : x.bytes;
  const [top, left, bottom, right] = pads;
  const size = { batch, height: addDims(height, top + bottom), width: addDims(width, left + right), channels };
  if (!pads.some((n) => n > 0)) return { ...x, bytes: turned, size };
  return { ...x, bytes: e.node("Pad", [turned, e.ints([0, top, left, 0, 0, bottom, right, 0]), x.zero]), size };
}

/** A kernel applied at `rows` times `width` positions. */
interface Seen extends Pick<QuantisedKernel, "kernel" | "stride"> {
  readonly rows: Dim;
  readonly width: Dim;
}

/**
 * im2col: the kernel window at each position, [B, rows, width, k·k·C]. Pixels are gathered by index, and layers of one size share the indices:
 * this copies once, where concatenating slices copies twice.
 * @param from the first row of a strip; undefined: the whole picture
 */
function windowsOf({ size, ...source }: Padded, from: Dim | undefined, seen: Seen, e: Emitter): Bytes {
  const { batch, width: across, channels } = size;
  const { rows, width, kernel } = seen;
  const high = from === undefined ? size.height : addDims(rows, kernel - 1);
  const pixels = source.bytes;
  const part =
    from === undefined ? pixels : e.node("Slice", [pixels, e.dims([from]), e.dims([addDims(from, high)]), e.ints([1])]);
  const flat = e.node("Reshape", [part, e.dims([batch, mulDims(high, across), channels])]);
  const windows = e.node("Gather", [flat, numbersInWindows(across, seen, e)], { attrs: { axis: 1 } });
  return { ...source, bytes: e.node("Reshape", [windows, e.dims([batch, rows, width, kernel ** 2 * channels])]) };
}

/** Indices of the pixels in the kernel window at each position of the result, in a picture `across` wide: [rows · width · k · k]. */
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
  /** Height of each strip. */
  readonly rows: Dim;
}

/**
 * Strips of equal height, as many (1, 2, 4 … `most`) as the height is known to be divisible by. Their kernel windows overlap:
 *
 *     strip   rows of the result   rows of the padded source (kernel k, stride 1)
 *     0       0 … h-1              0 … h+k-2
 *     1       h … 2h-1             h … 2h+k-2
 */
function stripsOf(height: Dim, most: number): Strips {
  let count = 1;
  if (typeof height !== "number") while (count < most && divideDims(height, 2 * count) !== undefined) count *= 2;
  return { count, rows: divideDims(height, count)! };
}

/** Computes strip by strip. @param strip is given the first row, or undefined where one strip is the whole picture */
function inStrips({ count, rows }: Strips, e: Emitter, strip: (from: Dim | undefined) => string): string {
  if (count === 1) return strip(undefined);
  const strips = Array.from({ length: count }, (_, i) => strip(mulDims(rows, i)));
  return e.node("Concat", strips, { attrs: { axis: 1 } });
}
