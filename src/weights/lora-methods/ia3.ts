import { elementCount } from "../tensor-entry.ts";
import { type LoraMethod, rowsAndColumns, sameSizes } from "./method.ts";

/**
 * Liu et al. 2022 (arXiv 2205.05638): LyCORIS multiplies rows, or for what is trained on a layer's input columns, by 1 + s·w; PEFT's `ia3_l`,
 * [out, 1] or [1, in] or for convolutions [1, channels, 1, 1], is the factor itself.
 */
export const IA3: LoraMethod = {
  name: "(IA)3",
  parts: ["ia3_rows", "ia3_columns", "ia3_l"],
  missing: () => [],
  fits({ ia3_rows, ia3_columns, ia3_l }, [out, into, ...kernel]) {
    if (ia3_rows !== undefined) return elementCount(ia3_rows) === out;
    if (ia3_columns !== undefined) return elementCount(ia3_columns) === into;
    if (ia3_l === undefined) return false;
    if (kernel.length === 0) return sameSizes(ia3_l, [out!, 1]) || sameSizes(ia3_l, [1, into!]);
    return out !== into && (elementCount(ia3_l) === out || elementCount(ia3_l) === into);
  },
  change({ ia3_rows, ia3_columns, ia3_l }, { shape, values }, strength) {
    const [rows, columns] = rowsAndColumns(shape);
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
