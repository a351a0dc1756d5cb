import { tucker } from "../lora-products.ts";
import { elementCount } from "../tensor-entry.ts";
import { allOf, columnsIn, type LoraMethod, multiplied, multiplies, rowsAndColumns, tuckerFits } from "./method.ts";

/** Hu et al. 2021 (arXiv 2106.09685); with `mid` a convolution in Tucker form, as LyCORIS writes LoCon. */
export const LORA: LoraMethod = {
  name: "LoRA",
  parts: ["down", "up", "mid"],
  missing: allOf("down", "up"),
  fits: ({ down, up, mid }, weight) =>
    mid === undefined ? multiplies(up, down, ...rowsAndColumns(weight)) : tuckerFits(up, mid, down, weight),
  rank: ({ down }) => down![0],
  difference({ down, up, mid }) {
    if (mid === undefined) return multiplied(up!, down!);
    const [a, b, ...kernel] = mid.shape as [number, number, ...number[]];
    return tucker(up!.values, mid.values, down!.values, [up!.shape[0]!, a, b, columnsIn(down!), elementCount(kernel)]);
  },
};
