import { expect, test } from "vitest";
import { timingText } from "./timing-text.ts";

test("lists the time of each part and the peak memory", () => {
  const timings = {
    load: { unet: 50.92, vae: 0.4 },
    encode: 5.6,
    evaluations: [9.5, 8.4, 8.6, 8.5],
    decode: 14.56,
    total: 104.2,
  };
  expect(timingText(timings, 12.06e9)).toBe(
    "It took 104.2 s: loading 51.3 s (unet 50.9 s, vae 0.40 s), encoding 5.60 s, 4 evaluations of 8.60 s each (8.40 s to 9.50 s), decoding 14.6 s. Peak memory: 12.1 GB.",
  );
});

test("leaves out loading if nothing was loaded", () => {
  const timings = { load: {}, encode: 0.5, evaluations: [2], decode: 1, total: 3.5 };
  expect(timingText(timings, 1e9)).toBe(
    "It took 3.50 s: encoding 0.50 s, 1 evaluation of 2.00 s, decoding 1.00 s. Peak memory: 1.0 GB.",
  );
});
