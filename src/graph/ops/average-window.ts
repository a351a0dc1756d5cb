import { apply, fixedSize, type Op, type Tensor } from "../tensor.ts";
import { kernelWindows } from "./depthwise.ts";
import { add, mul } from "./elementwise.ts";
import { constant } from "./source.ts";

/** See {@link averageWindow}. */
export const averageWindowOp: Op<{ kernel: number }> = {
  name: "averageWindow",
  shape: ([x], { kernel }) => {
    if (kernel % 2 === 0) throw new TypeError(`a window of side ${kernel} has no middle`);
    return x!.shape;
  },
  expand: ([x], { kernel }) => {
    const reach = (kernel - 1) / 2;
    let sum: Tensor | undefined;
    for (const { shifted } of kernelWindows(x!, { stride: 1, pads: [reach, reach, reach, reach], kernel: [kernel, kernel] }))
      sum = sum === undefined ? shifted : add(sum, shifted);
    const [rows, columns] = [fixedSize(x!, 2), fixedSize(x!, 3)];
    const inside = (at: number, whole: number): number => Math.min(at + reach, whole - 1) - Math.max(at - reach, 0) + 1;
    const shares = Array.from({ length: rows * columns }, (_, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      return 1 / (inside(row, rows) * inside(column, columns));
    });
    return mul(sum!, constant(shares, [1, 1, rows, columns]));
  },
};
/** Mean of the kernel x kernel pixels around each pixel of [B, C, H, W]; those beyond the border do not count. */
export const averageWindow = (x: Tensor, kernel: number): Tensor => apply(averageWindowOp, [x], { kernel });
