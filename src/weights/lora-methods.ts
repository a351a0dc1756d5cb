import { addRows, product, transposeMatrix, tucker } from "./lora-products.ts";
import { elementCount } from "./tensor-entry.ts";

/** A tensor of a LoRA file that has been read. */
export interface LoraPart {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Shapes of a method's parts, by their names in {@link LoraMethod.parts}. */
export type PartShapes = Readonly<Record<string, readonly number[] | undefined>>;
export type Parts = Readonly<Record<string, LoraPart | undefined>>;

/** A weight [out, in] or [out, in, k, k], or a vector. */
export interface LoraWeight {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** How a file of LoRA's kin changes a weight. */
export interface LoraMethod {
  readonly name: string;
  /** Names of its parts. */
  readonly parts: readonly string[];
  /** Names of parts that are needed beside those that are there. */
  missing(parts: PartShapes): readonly string[];
  /** Whether parts of these shapes change a weight of this shape. */
  fits(parts: PartShapes, weight: readonly number[]): boolean;
  /** The rank that alpha is divided by; undefined where alpha is not used so. */
  rank?(parts: PartShapes): number | undefined;
  /** What is added to the weight at strength 1, before it is scaled by alpha / rank. */
  difference?(parts: Parts, weight: LoraWeight): Float32Array;
  /** The changed weight, for methods that multiply. @param alpha 0 if the file has none */
  change?(parts: Parts, weight: LoraWeight, strength: number, alpha: number): Float32Array;
}

/** A shape as rows and columns: kernels belong to the columns. */
const flat = ([rows = 1, ...rest]: readonly number[]): readonly [number, number] => [rows, elementCount(rest)];
const same = (a: readonly number[] | undefined, b: readonly number[]): boolean => a !== undefined && `${a}` === `${b}`;
/** The two shapes multiply, and give `rows` x `columns`. */
function multiplies(a: readonly number[] | undefined, b: readonly number[] | undefined, rows: number, columns: number): boolean {
  if (a === undefined || b === undefined || a.length < 2 || b.length < 2) return false;
  const [left, right] = [flat(a), flat(b)];
  return left[0] === rows && left[1] === right[0] && right[1] === columns;
}
/** outer · core · inner of {@link tucker} gives [rows, columns, kernel]. @param outer, inner as [rows, rank] and [rank, columns] */
function tuckerFits(
  outer: readonly number[] | undefined,
  core: readonly number[] | undefined,
  inner: readonly number[] | undefined,
  [rows, columns, ...kernel]: readonly number[],
): boolean {
  if (outer === undefined || core === undefined || inner === undefined || core.length < 2) return false;
  return (
    same(flat(outer), [rows!, core[0]!]) &&
    same(flat(inner), [core[1]!, columns!]) &&
    elementCount(core.slice(2)) === elementCount(kernel)
  );
}
const columnsOf = ({ shape }: LoraPart): number => flat(shape)[1];
const times = (a: LoraPart, b: LoraPart): Float32Array =>
  product(a.values, b.values, flat(a.shape)[0], flat(b.shape)[0], columnsOf(b));

const allOf =
  (...names: readonly string[]) =>
  (parts: PartShapes): readonly string[] =>
    names.filter((name) => parts[name] === undefined);

/** `tucker` where the outer factor is stored as [rank, rows]. */
function tuckerOf(core: LoraPart, inner: LoraPart, outer: LoraPart): Float32Array {
  const [rank, rows] = flat(outer.shape);
  const [a, b, ...kernel] = core.shape as [number, number, ...number[]];
  return tucker(transposeMatrix(outer.values, rank, rows), core.values, inner.values, [
    rows,
    a,
    b,
    columnsOf(inner),
    elementCount(kernel),
  ]);
}
const turned = (shape: readonly number[] | undefined): readonly number[] | undefined => shape && [flat(shape)[1], flat(shape)[0]];

/** Hu et al. 2021 (arXiv 2106.09685); with `mid` a convolution in Tucker form, as LyCORIS writes LoCon. */
const LORA: LoraMethod = {
  name: "LoRA",
  parts: ["down", "up", "mid"],
  missing: allOf("down", "up"),
  fits: ({ down, up, mid }, weight) =>
    mid === undefined ? multiplies(up, down, ...flat(weight)) : tuckerFits(up, mid, down, weight),
  rank: ({ down }) => down![0],
  difference({ down, up, mid }) {
    if (mid === undefined) return times(up!, down!);
    const [a, b, ...kernel] = mid.shape as [number, number, ...number[]];
    return tucker(up!.values, mid.values, down!.values, [up!.shape[0]!, a, b, columnsOf(down!), elementCount(kernel)]);
  },
};

/** Hyeon-Woo et al. 2021 (arXiv 2108.06098): the elementwise product of two low-rank matrices. */
const LOHA: LoraMethod = {
  name: "LoHa",
  parts: ["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"],
  missing: ({ hada_t1, hada_t2, ...factors }) => [
    ...allOf("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")(factors),
    ...(hada_t1 === undefined && hada_t2 === undefined ? [] : allOf("hada_t1", "hada_t2")({ hada_t1, hada_t2 })),
  ],
  fits(p, weight) {
    if (p.hada_t1 === undefined && p.hada_t2 === undefined)
      return [1, 2].every((n) => multiplies(p[`hada_w${n}_a`], p[`hada_w${n}_b`], ...flat(weight)));
    return [1, 2].every((n) => tuckerFits(turned(p[`hada_w${n}_a`]), p[`hada_t${n}`], p[`hada_w${n}_b`], weight));
  },
  rank: ({ hada_w1_b }) => hada_w1_b![0],
  difference({ hada_w1_a, hada_w1_b, hada_w2_a, hada_w2_b, hada_t1, hada_t2 }) {
    const first = hada_t1 ? tuckerOf(hada_t1, hada_w1_b!, hada_w1_a!) : times(hada_w1_a!, hada_w1_b!);
    const second = hada_t2 ? tuckerOf(hada_t2, hada_w2_b!, hada_w2_a!) : times(hada_w2_a!, hada_w2_b!);
    for (let i = 0; i < first.length; i++) first[i]! *= second[i]!;
    return first;
  },
};

/** The shape of a factor of LoKr, whole or the product of two, as rows and columns; undefined if it is neither. */
function factorShape(p: PartShapes, n: 1 | 2): readonly [number, number] | undefined {
  const [whole, a, b, core] = [p[`lokr_w${n}`], p[`lokr_w${n}_a`], p[`lokr_w${n}_b`], n === 2 ? p.lokr_t2 : undefined];
  if (whole !== undefined) return a === undefined && b === undefined && core === undefined ? flat(whole) : undefined;
  if (a === undefined || b === undefined) return undefined;
  if (core === undefined) return multiplies(a, b, flat(a)[0], flat(b)[1]) ? [flat(a)[0], flat(b)[1]] : undefined;
  const kernel = core.slice(2);
  const shape = [flat(a)[1], flat(b)[1], ...kernel];
  return tuckerFits(turned(a), core, b, shape) ? flat(shape) : undefined;
}

/** Kronecker product of two factors: LyCORIS (arXiv 2309.14859). */
const LOKR: LoraMethod = {
  name: "LoKr",
  parts: ["lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"],
  missing: (p) => [
    ...(p.lokr_w1 === undefined ? allOf("lokr_w1_a", "lokr_w1_b")(p) : []),
    ...(p.lokr_w2 === undefined ? allOf("lokr_w2_a", "lokr_w2_b")(p) : []),
  ],
  fits(p, weight) {
    const [first, second] = [factorShape(p, 1), factorShape(p, 2)];
    const [rows, columns] = flat(weight);
    const { lokr_w2: whole } = p;
    const kernelFits = whole === undefined || whole.length < 3 || same(whole.slice(2), weight.slice(2));
    return (
      first !== undefined &&
      second !== undefined &&
      kernelFits &&
      first[0] * second[0] === rows &&
      first[1] * second[1] === columns
    );
  },
  rank: ({ lokr_w2_b, lokr_w1_b }) => (lokr_w2_b ?? lokr_w1_b)?.[0],
  difference(p, weight) {
    const first = p.lokr_w1?.values ?? times(p.lokr_w1_a!, p.lokr_w1_b!);
    const second =
      p.lokr_w2?.values ?? (p.lokr_t2 ? tuckerOf(p.lokr_t2, p.lokr_w2_b!, p.lokr_w2_a!) : times(p.lokr_w2_a!, p.lokr_w2_b!));
    const shapes = Object.fromEntries(Object.entries(p).map(([name, part]) => [name, part?.shape]));
    const [[a, b], [c, d]] = [factorShape(shapes, 1)!, factorShape(shapes, 2)!];
    const made = new Float32Array(weight.values.length);
    for (let i = 0; i < a; i++)
      for (let k = 0; k < c; k++)
        for (let j = 0; j < b; j++) {
          const factor = first[i * b + j]!;
          const at = (i * c + k) * b * d + j * d;
          for (let l = 0; l < d; l++) made[at + l] = factor * second[k * d + l]!;
        }
    return made;
  },
};

/** Whether a file of GLoRA has the factors in the order of early LyCORIS: b2·b1 + W·a2·a1. */
function gloraIsOld({ a1, a2, b1, b2 }: PartShapes, [out]: readonly number[]): boolean {
  const old = b2![1] === b1![0] && b1![0] === a1![0] && a1![0] === a2![1];
  const recent = b2![0] === b1![1] && b1![1] === a1![1] && a1![1] === a2![0];
  return old && (!recent || a2![0] === out);
}

/** Chavan et al. 2023 (arXiv 2306.07967): b1·b2 + W·a1·a2. */
const GLORA: LoraMethod = {
  name: "GLoRA",
  parts: ["a1", "a2", "b1", "b2", "bm"],
  missing: allOf("a1", "a2", "b1", "b2"),
  fits(p, weight) {
    const { a1, a2, b1, b2, bm } = p;
    if ([a1, a2, b1, b2].some((shape) => shape === undefined || shape.length < 2)) return false;
    const into = weight[1]!;
    if (bm !== undefined) return tuckerFits(b1, bm, b2, weight) && multiplies(a1, a2, into, into);
    const [rows, columns] = flat(weight);
    return gloraIsOld(p, weight)
      ? weight.length === 2 && multiplies(b2, b1, rows, columns) && multiplies(a2, a1, columns, columns)
      : multiplies(b1, b2, rows, columns) && multiplies(a1, a2, into, into);
  },
  rank: ({ a1, a2 }) => Math.min(a1![0]!, a2![0]!), // the other is the layer's width
  difference({ a1, a2, b1, b2, bm }, weight) {
    const old = gloraIsOld({ a1: a1!.shape, a2: a2!.shape, b1: b1!.shape, b2: b2!.shape }, weight.shape);
    const [first, second] = old ? [a2!, a1!] : [a1!, a2!];
    const [out, into] = weight.shape as [number, number];
    const kernel = elementCount(weight.shape.slice(2));
    const [, rank] = flat(first.shape);
    const made = old
      ? times(b2!, b1!)
      : bm === undefined
        ? times(b1!, b2!)
        : LORA.difference!({ down: b2, up: b1, mid: bm }, weight);
    // the channels of a convolution are multiplied, at each place of the kernel
    const rows = kernel === 1 ? weight.values : channelsLast(weight.values, out, into, kernel);
    const changed = product(product(rows, first.values, out * kernel, into, rank), second.values, out * kernel, rank, into);
    for (let o = 0; o < out; o++)
      for (let k = 0; k < kernel; k++)
        for (let i = 0; i < into; i++) made[(o * into + i) * kernel + k]! += changed[(o * kernel + k) * into + i]!;
    return made;
  },
};

/** [out, in, kernel] as [out, kernel, in]. */
function channelsLast(values: Float32Array, out: number, into: number, kernel: number): Float32Array {
  const made = new Float32Array(values.length);
  for (let o = 0; o < out; o++)
    for (let i = 0; i < into; i++)
      for (let k = 0; k < kernel; k++) made[(o * kernel + k) * into + i] = values[(o * into + i) * kernel + k]!;
  return made;
}

/** Differences of whole weights, of biases and of norms. */
const FULL: LoraMethod = {
  name: "full differences of weights",
  parts: ["diff"],
  missing: () => [],
  fits: ({ diff }, weight) => diff !== undefined && (same(diff, weight) || same(flat(diff), flat(weight))),
  difference: ({ diff }) => diff!.values.slice(),
};

/** The bias that a LoRA adds behind `up`, which alpha / rank scales as it does the rest. */
const BIAS: LoraMethod = {
  name: "LoRA with biases",
  parts: ["bias", "down"],
  missing: () => [],
  fits: ({ bias }, weight) => bias !== undefined && elementCount(bias) === elementCount(weight),
  rank: ({ down }) => down?.[0],
  difference: ({ bias }) => bias!.values.slice(),
};

/**
 * Liu et al. 2022 (arXiv 2205.05638): LyCORIS multiplies rows, or for what is trained on a layer's input columns, by 1 + s·w; PEFT's `ia3_l`,
 * [out, 1] or [1, in] or for convolutions [1, channels, 1, 1], is the factor itself.
 */
const IA3: LoraMethod = {
  name: "(IA)3",
  parts: ["ia3_rows", "ia3_columns", "ia3_l"],
  missing: () => [],
  fits({ ia3_rows, ia3_columns, ia3_l }, [out, into, ...kernel]) {
    if (ia3_rows !== undefined) return elementCount(ia3_rows) === out;
    if (ia3_columns !== undefined) return elementCount(ia3_columns) === into;
    if (ia3_l === undefined) return false;
    if (kernel.length === 0) return same(ia3_l, [out!, 1]) || same(ia3_l, [1, into!]);
    return out !== into && (elementCount(ia3_l) === out || elementCount(ia3_l) === into);
  },
  change({ ia3_rows, ia3_columns, ia3_l }, { shape, values }, strength) {
    const [rows, columns] = flat(shape);
    const kernel = elementCount(shape.slice(2));
    const ofPeft = ia3_l?.values.map((l) => l - 1);
    const byRow =
      ia3_rows !== undefined ||
      (ia3_l !== undefined && ia3_l.values.length === rows && ia3_l.shape[0] !== 1) ||
      (kernel > 1 && ofPeft?.length === rows);
    const vector = (ia3_rows ?? ia3_columns)?.values ?? ofPeft!;
    return values.map((w, at) => {
      const index = byRow ? Math.floor(at / columns) : Math.floor((at % columns) / kernel);
      return w * (1 + strength * vector[index]!);
    });
  },
};

/** R = (I + Q)(I - Q)^-1 of each block, where Q = B - B^T, shrunk to the constraint; then s·R + (1 - s)·I. @returns [count, b, b] */
function rotations({ values, shape }: LoraPart, constraint: number, strength: number): Float64Array {
  const size = shape.at(-1)!;
  const skew = new Float64Array(values.length);
  for (let at = 0; at < values.length; at++) {
    const [block, inside] = [at - (at % size ** 2), at % size ** 2];
    skew[at] = values[at]! - values[block + (inside % size) * size + Math.floor(inside / size)]!;
  }
  const norm = Math.sqrt(skew.reduce((sum, q) => sum + q * q, 0));
  if (constraint > 0 && norm > constraint) for (let i = 0; i < skew.length; i++) skew[i]! *= constraint / norm;
  const made = new Float64Array(values.length);
  for (let from = 0; from < values.length; from += size ** 2) cayley(skew, made, from, size, strength);
  return made;
}

/** (I + Q)(I - Q)^-1 by elimination: of (I - Q)·R' = I + Q, since the two commute. */
function cayley(skew: Float64Array, made: Float64Array, from: number, size: number, strength: number): void {
  const unit = (i: number, j: number): number => (i === j ? 1 : 0);
  const left = Float64Array.from({ length: size * size }, (_, at) => unit(Math.floor(at / size), at % size) - skew[from + at]!);
  const right = Float64Array.from({ length: size * size }, (_, at) => unit(Math.floor(at / size), at % size) + skew[from + at]!);
  for (let pivot = 0; pivot < size; pivot++) {
    // I - Q has a positive definite symmetric part, so no pivot vanishes
    const divisor = left[pivot * size + pivot]!;
    for (let j = 0; j < size; j++) {
      left[pivot * size + j]! /= divisor;
      right[pivot * size + j]! /= divisor;
    }
    for (let i = 0; i < size; i++) {
      const factor = left[i * size + pivot]!;
      if (i === pivot || factor === 0) continue;
      for (let j = 0; j < size; j++) {
        left[i * size + j]! -= factor * left[pivot * size + j]!;
        right[i * size + j]! -= factor * right[pivot * size + j]!;
      }
    }
  }
  for (let at = 0; at < size * size; at++)
    made[from + at] = strength * right[at]! + (1 - strength) * unit(Math.floor(at / size), at % size);
}

/** Each block of rows becomes its turn times the block, or the turn's transpose times it. @param turns [blocks, size, size] */
function turnRows(rows: Float32Array, columns: number, turns: Float64Array, size: number, transpose: boolean): Float32Array {
  const made = new Float32Array(rows.length);
  const sum = new Float64Array(columns);
  const factors = new Float64Array(size);
  for (let row = 0; row < rows.length / columns; row++) {
    const [inside, first] = [row % size, row - (row % size)];
    const at = first * size;
    for (let j = 0; j < size; j++) factors[j] = turns[at + (transpose ? j * size + inside : inside * size + j)]!;
    sum.fill(0);
    addRows(sum, factors, rows, first);
    made.set(sum, row * columns);
  }
  return made;
}

/**
 * Orthogonal finetuning: Qiu et al. 2023 (arXiv 2306.07280) turns blocks of rows, and Liu et al. 2023 (arXiv 2311.06243), whose files have a
 * further dimension, does so several times between which rows change places (butterfly). Alpha is a constraint here.
 * @see LyCORIS lycoris/functional/diag_oft.py and boft.py; kohya's sd-scripts networks/oft.py
 */
const OFT: LoraMethod = {
  name: "OFT",
  parts: ["oft_blocks", "rescale"],
  missing: allOf("oft_blocks"),
  fits({ oft_blocks: blocks, rescale }, weight) {
    if (blocks === undefined || (blocks.length !== 3 && blocks.length !== 4)) return false;
    const [count, size, again] = blocks.slice(-3) as [number, number, number];
    const butterfly = blocks.length === 4;
    return (
      size === again &&
      count * size === weight[0] &&
      (rescale === undefined || elementCount(rescale) === weight[0]) &&
      (!butterfly || (size % 2 === 0 && weight[0]! % (2 ** (blocks[0]! - 1) * size) === 0))
    );
  },
  change({ oft_blocks, rescale }, { shape, values }, strength, alpha) {
    const [out, columns] = flat(shape);
    const size = oft_blocks!.shape.at(-1)!;
    const turns = rotations(oft_blocks!, alpha * out, strength);
    let rows = values;
    if (oft_blocks!.shape.length === 3) rows = turnRows(rows, columns, turns, size, true);
    else
      for (let stage = 0; stage < oft_blocks!.shape[0]!; stage++) {
        const apart = 2 ** stage * (size / 2);
        const swapped = swapRows(rows, columns, out, 2, apart);
        const turned = turnRows(swapped, columns, turns.subarray(stage * out * size), size, false);
        rows = swapRows(turned, columns, out, apart, 2);
      }
    if (rescale !== undefined) for (let at = 0; at < rows.length; at++) rows[at]! *= rescale.values[Math.floor(at / columns)]!;
    return rows;
  },
};

/** Rows as [groups, g, k, columns] become [groups, k, g, columns]. */
function swapRows(rows: Float32Array, columns: number, out: number, g: number, k: number): Float32Array {
  const made = new Float32Array(rows.length);
  for (let row = 0; row < out; row++) {
    const [group, inside] = [row - (row % (g * k)), row % (g * k)];
    const to = group + (inside % k) * g + Math.floor(inside / k);
    made.set(rows.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return made;
}

/** The methods by which files of LoRA's kin change weights; BIAS is for biases alone. */
export const LORA_METHODS = { LORA, LOHA, LOKR, GLORA, FULL, BIAS, IA3, OFT } as const;

/** The methods that a module's roles in a file show, and their ranks. @param roles to their shapes */
export function loraMethods(
  roles: ReadonlyMap<string, readonly number[]>,
): readonly { readonly name: string; readonly rank: number | undefined }[] {
  const shapes = Object.fromEntries(roles);
  const ofWeights = Object.values(LORA_METHODS).filter(
    (method) => method !== BIAS && method.parts.some((part) => roles.has(part)) && method.missing(shapes).length === 0,
  );
  const dora = roles.has("magnitude") || roles.has("magnitude_rows");
  const found: { name: string; rank: number | undefined }[] = ofWeights.map((method) => ({
    name:
      method === OFT && roles.get("oft_blocks")!.length === 4
        ? "BOFT"
        : dora
          ? `${method.name} with magnitudes (DoRA)`
          : method.name,
    rank: method.rank?.(shapes),
  }));
  if (roles.has("ia3") && roles.has("on_input")) found.push({ name: IA3.name, rank: undefined });
  if (roles.has("diff_b") && ofWeights.length === 0) found.push({ name: FULL.name, rank: undefined });
  if (roles.has("bias")) found.push({ name: BIAS.name, rank: undefined });
  return found;
}

/** Whether a magnitude of DoRA fits: a number for each row, [out] or [out, 1 …], or for each column, [1, in, 1 …]. */
export const magnitudeFits = (magnitude: readonly number[], weight: readonly number[]): boolean =>
  same(withoutOnes(magnitude), [weight[0]!]) || (magnitude[0] === 1 && same(withoutOnes(magnitude), [weight[1]!]));

/** A shape without its sizes of 1. */
const withoutOnes = (shape: readonly number[]): number[] => {
  const kept = shape.filter((size) => size !== 1);
  return kept.length === 0 ? [1] : kept;
};

/**
 * W changed by a method with a strength s: W + s·scale·dW; with a magnitude (DoRA, Liu et al. 2024, arXiv 2402.09353)
 * W + s·(V' - W), where V = W + scale·dW and V' is V with rows, or columns, of the length that the magnitude says.
 * @param rows whether the magnitude is always one of rows, as PEFT writes it
 */
export function changeWeight(
  method: LoraMethod,
  parts: Parts,
  weight: LoraWeight,
  {
    strength,
    alpha,
    magnitude,
    rows = false,
  }: { strength: number; alpha: number | undefined; magnitude?: LoraPart; rows?: boolean },
): Float32Array {
  if (method.change !== undefined) return method.change(parts, weight, strength, alpha ?? 0);
  const shapes = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part?.shape]));
  const rank = method.rank?.(shapes);
  const scale = alpha === undefined || rank === undefined ? 1 : alpha / rank;
  const made = method.difference!(parts, weight);
  const { values, shape } = weight;
  if (magnitude === undefined) {
    for (let i = 0; i < made.length; i++) made[i] = values[i]! + strength * scale * made[i]!;
    return made;
  }
  for (let i = 0; i < made.length; i++) made[i] = values[i]! + scale * made[i]!;
  const [out, columns] = flat(shape);
  const kernel = elementCount(shape.slice(2));
  const byRow = rows || magnitude.shape.length === 1 || magnitude.shape[0] === out;
  const index = (at: number): number => (byRow ? Math.floor(at / columns) : Math.floor((at % columns) / kernel));
  const squares = new Float64Array(magnitude.values.length);
  for (let i = 0; i < made.length; i++) squares[index(i)]! += made[i]! ** 2;
  const factors = squares.map((square, i) => magnitude.values[i]! / (Math.sqrt(square) + 2 ** -23)); // as PyTorch's: never a division by 0
  for (let i = 0; i < made.length; i++) made[i] = values[i]! + strength * (made[i]! * factors[index(i)]! - values[i]!);
  return made;
}
