import { allOf, type LoraMethod, multiplied, multiplies, rowsAndColumns, tuckerFits, tuckerOf, turnedShape } from "./method.ts";

/** Hyeon-Woo et al. 2021 (arXiv 2108.06098): the elementwise product of two low-rank matrices. */
export const LOHA: LoraMethod = {
  name: "LoHa",
  parts: ["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"],
  missing: ({ hada_t1, hada_t2, ...factors }) => [
    ...allOf("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")(factors),
    ...(hada_t1 === undefined && hada_t2 === undefined ? [] : allOf("hada_t1", "hada_t2")({ hada_t1, hada_t2 })),
  ],
  fits(p, weight) {
    if (p.hada_t1 === undefined && p.hada_t2 === undefined)
      return [1, 2].every((n) => multiplies(p[`hada_w${n}_a`], p[`hada_w${n}_b`], ...rowsAndColumns(weight)));
    return [1, 2].every((n) => tuckerFits(turnedShape(p[`hada_w${n}_a`]), p[`hada_t${n}`], p[`hada_w${n}_b`], weight));
  },
  rank: ({ hada_w1_b }) => hada_w1_b![0],
  difference({ hada_w1_a, hada_w1_b, hada_w2_a, hada_w2_b, hada_t1, hada_t2 }) {
    const first = hada_t1 ? tuckerOf(hada_t1, hada_w1_b!, hada_w1_a!) : multiplied(hada_w1_a!, hada_w1_b!);
    const second = hada_t2 ? tuckerOf(hada_t2, hada_w2_b!, hada_w2_a!) : multiplied(hada_w2_a!, hada_w2_b!);
    for (let i = 0; i < first.length; i++) first[i]! *= second[i]!;
    return first;
  },
};
