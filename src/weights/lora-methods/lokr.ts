import {
  allOf,
  type LoraMethod,
  multiplied,
  multiplies,
  type PartShapes,
  rowsAndColumns,
  sameSizes,
  tuckerFits,
  tuckerOf,
  turnedShape,
} from "./method.ts";

/** The shape of a factor of LoKr, whole or the product of two, as rows and columns; undefined if it is neither. */
function factorShape(p: PartShapes, n: 1 | 2): readonly [number, number] | undefined {
  const [whole, a, b, core] = [p[`lokr_w${n}`], p[`lokr_w${n}_a`], p[`lokr_w${n}_b`], n === 2 ? p.lokr_t2 : undefined];
  if (whole !== undefined) return a === undefined && b === undefined && core === undefined ? rowsAndColumns(whole) : undefined;
  if (a === undefined || b === undefined) return undefined;
  if (core === undefined)
    return multiplies(a, b, rowsAndColumns(a)[0], rowsAndColumns(b)[1])
      ? [rowsAndColumns(a)[0], rowsAndColumns(b)[1]]
      : undefined;
  const kernel = core.slice(2);
  const shape = [rowsAndColumns(a)[1], rowsAndColumns(b)[1], ...kernel];
  return tuckerFits(turnedShape(a), core, b, shape) ? rowsAndColumns(shape) : undefined;
}

/** Kronecker product of two factors: LyCORIS (arXiv 2309.14859). */
export const LOKR: LoraMethod = {
  name: "LoKr",
  parts: ["lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"],
  missing: (p) => [
    ...(p.lokr_w1 === undefined ? allOf("lokr_w1_a", "lokr_w1_b")(p) : []),
    ...(p.lokr_w2 === undefined ? allOf("lokr_w2_a", "lokr_w2_b")(p) : []),
  ],
  fits(p, weight) {
    const [first, second] = [factorShape(p, 1), factorShape(p, 2)];
    const [rows, columns] = rowsAndColumns(weight);
    const { lokr_w2: whole } = p;
    const kernelFits = whole === undefined || whole.length < 3 || sameSizes(whole.slice(2), weight.slice(2));
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
    const first = p.lokr_w1?.values ?? multiplied(p.lokr_w1_a!, p.lokr_w1_b!);
    const second =
      p.lokr_w2?.values ?? (p.lokr_t2 ? tuckerOf(p.lokr_t2, p.lokr_w2_b!, p.lokr_w2_a!) : multiplied(p.lokr_w2_a!, p.lokr_w2_b!));
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
