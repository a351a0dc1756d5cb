import { expect, test } from "vitest";
import { MemoryGauge } from "./memory-gauge.ts";

test("of one process: the most that it told", () => {
  const gauge = new MemoryGauge();
  const one = {};
  gauge.started(one);
  gauge.told(one, 2, 5);
  gauge.told(one, 1, 5);
  expect(gauge.peak).toBe(5);
});

test("what two hold at the same time is added, and what they held one after the other is not", () => {
  const gauge = new MemoryGauge();
  const [encoders, unet] = [{}, {}];
  gauge.started(encoders);
  gauge.told(encoders, 4, 6);
  gauge.told(encoders, 1, 6); // frees its models
  gauge.started(unet);
  gauge.told(unet, 8, 8);
  expect(gauge.peak).toBe(9);
  gauge.told(encoders, 1, 6);
  expect(gauge.peak).toBe(9);
});

test("what one held while the other was at work counts, although it has freed it meanwhile", () => {
  const gauge = new MemoryGauge();
  const [encoders, unet] = [{}, {}];
  gauge.started(encoders);
  gauge.started(unet);
  gauge.told(encoders, 5, 6);
  gauge.told(encoders, 1, 6);
  gauge.told(unet, 8, 8);
  expect(gauge.peak).toBe(14);
  gauge.told(unet, 7, 10);
  expect(gauge.peak).toBe(14); // not 16: the encoders held their 6 before the last report
});

test("a process that has ended holds nothing", () => {
  const gauge = new MemoryGauge();
  const [one, two] = [{}, {}];
  gauge.started(one);
  gauge.told(one, 5, 5);
  gauge.ended(one);
  gauge.told(one, 9, 9);
  gauge.started(two);
  gauge.told(two, 6, 6);
  expect(gauge.peak).toBe(6);
});
