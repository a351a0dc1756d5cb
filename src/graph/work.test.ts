import { expect, test } from "vitest";
import { sdxlUNet } from "../testing/sdxl-unet.ts";
import { namedDim } from "./dim.ts";
import { attention } from "./ops/attention.ts";
import { conv2d } from "./ops/convolution.ts";
import { add } from "./ops/elementwise.ts";
import { permute, reshape } from "./ops/layout.ts";
import { linear, matmul } from "./ops/matrix.ts";
import { input } from "./ops/source.ts";
import { Recorder } from "./recorder.ts";
import { workOf } from "./work.ts";

const [batch, height, width, tokens] = ["batch", "height", "width", "tokens"].map(namedDim) as [never, never, never, never];

test("the work of a small graph is as counted by hand", () => {
  const x = input("x", [batch, 3, height, width]);
  const convolved = conv2d(x, input("w", [8, 3, 3, 3]), input("b", [8]), { stride: 2, pads: [1, 1, 1, 1] }); // [2, 8, 3, 5]
  const rows = permute(reshape(convolved, [batch, 8, -1]), [0, 2, 1]); // [2, 15, 8]
  const q = linear(rows, input("q", [8, 8]));
  const kv = linear(input("context", [batch, tokens, 5]), input("kv", [8, 5]), input("kv.bias", [8])); // [2, 7, 8]
  const y = add(attention(q, kv, kv, { heads: 2, causal: false }), rows);
  const z = matmul(y, y, { transA: true }); // [2, 8, 8] over 15

  const sizes = new Map(Object.entries({ batch: 2, height: 6, width: 10, tokens: 7 }));
  expect(workOf([z, y], sizes)).toEqual({
    convolution: 2 * (2 * 8 * 3 * 5) * (3 * 3 * 3),
    linear: 2 * (2 * 15 * 8) * 8 + 2 * (2 * 7 * 8) * 5 + 2 * (2 * 8 * 8) * 15,
    attention: 2 * (2 * 15 * 7 * 8) * 2,
    total: 12960 + 3840 + 1120 + 3840 + 6720,
  });
  expect(() => workOf([z], new Map([["batch", 2]]))).toThrow(TypeError);
});

test("one evaluation of SDXL's UNet takes 1.59 TFLOP at 512x512 and 6.76 at 1024x1024", () => {
  const noise = sdxlUNet(new Recorder());
  const tera = (side: number, rows: number) => {
    const sizes = { batch: rows, height: side / 8, width: side / 8, tokens: 77 };
    return workOf([noise], new Map(Object.entries(sizes))).total / 1e12;
  };
  expect(tera(1024, 1)).toBeCloseTo(6.76, 2);
  expect(tera(512, 1)).toBeCloseTo(1.59, 2);
  expect(tera(512, 2) / tera(512, 1)).toBeCloseTo(2, 4);
});
