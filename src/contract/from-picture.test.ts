import { expect, test } from "vitest";
import { parseGenerateRequest } from "./request.ts";

const parse = (more: object) => parseGenerateRequest({ prompt: "a", ...more });
const image = "a.png";

test.each<[string, string, object]>([
  ["a strength without a picture", "image/needed", { strength: 0.5 }],
  ["a mask without a picture", "image/needed", { maskImage: "m.png" }],
  ["growing without a picture", "image/needed", { outpaint: [8, 8, 8, 8] }],
  ["a blur without a mask", "mask/needed", { image, maskBlur: 4 }],
  ["the mask's area without a mask", "mask/needed", { image, inpaintArea: "masked" }],
  ["pasting back without a mask", "mask/needed", { image, pasteBack: true }],
  ["a padding of the mask where all is drawn", "inpaint-area/needed", { image, maskImage: "m.png", maskPadding: 8 }],
  ["growing by nothing", "outpaint/nothing", { image, outpaint: [0, 0, 0, 0] }],
  ["growing backwards", "outpaint/out-of-range", { image, outpaint: [-8, 0, 0, 0] }],
  ["a strength above 1", "strength/out-of-range", { image, strength: 1.5 }],
  ["an area of another name", "inpaint-area/unknown", { image, maskImage: "m.png", inpaintArea: "hole" }],
])("%s is refused", (_, code, more) => {
  expect(() => parse(more)).toThrow(expect.objectContaining({ name: "UserError", code }));
});

test("a picture, a mask and what belongs to them are accepted together", () => {
  const whole = { image, strength: 1, maskImage: new Uint8Array([1]), maskBlur: 4, inpaintArea: "masked", maskPadding: 0 };
  expect(parse(whole)).toMatchObject(whole);
  expect(parse({ image, outpaint: [0, 0, 8, 0], pasteBack: false })).toMatchObject({ outpaint: [0, 0, 8, 0] });
  expect(Object.keys(parse({})).filter((key) => /image$|strength|mask|outpaint|paste|inpaint/i.test(key))).toEqual([]);
});
